"""Where work may run: GPUs by number, workers, and the cluster that a variable names."""

import socket
from collections.abc import Iterator

import pytest

from ensemble.runtime.nvidia import Gpu
from ensemble.runtime.places import places, unreachable
from ensemble.runtime.wheels import Finding

T4 = [Gpu(number, "Tesla T4", 15_843_000_000) for number in (0, 1)]
RAY = {"ray": "2.60.0"}


def told(topic: str, **variables: str) -> list[Finding]:
    return [f for f in places(variables, RAY, [], 8) if f.topic == topic]


@pytest.fixture
def address() -> Iterator[str]:
    """An address at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def closed() -> str:
    """An address at which nobody listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_gpus_are_told_by_the_name_that_a_device_is_asked_for_by() -> None:
    found = [f.text for f in places({}, {}, T4, 8) if f.topic == "gpu"]
    assert found == ["cuda:0 is Tesla T4, 15.8 GB", "cuda:1 is Tesla T4, 15.8 GB"]


def test_gpus_that_are_hidden_are_told_with_what_shows_them() -> None:
    (hidden,) = told("gpu", CUDA_VISIBLE_DEVICES="")
    assert (hidden.level, hidden.remedy) == ("note", "unset CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("gpus", "text"),
    [
        ([], "local: one process of 8 threads on the CPU, or --workers N processes"),
        (T4, "local: a process for each of 2 GPUs; one process of 8 threads on the CPU, or "
             "--workers N processes"),
    ],
)  # fmt: skip
def test_the_local_executor_says_what_it_would_use(gpus: list[Gpu], text: str) -> None:
    assert [f.text for f in places({}, {}, gpus, 8) if f.topic == "executor"] == [text]


@pytest.mark.parametrize("variables", [{}, {"RAY_ADDRESS": "auto"}, {"RAY_ADDRESS": "local"}])
def test_ray_without_an_address_is_one_of_this_machine(variables: dict[str, str]) -> None:
    (ray,) = told("ray", **variables)
    assert (ray.level, ray.text[:11]) == ("ok", "ray 2.60.0:")


def test_a_cluster_that_answers_is_well(address: str) -> None:
    (ray,) = told("ray", RAY_ADDRESS=address)
    assert (ray.level, ray.text) == ("ok", f"ray 2.60.0: the cluster at {address} answers")


def test_a_cluster_that_does_not_answer_is_a_problem_with_its_remedy() -> None:
    address = closed()
    (ray,) = told("ray", RAY_ADDRESS=address)
    assert ray.level == "problem"
    assert f"RAY_ADDRESS={address} does not answer" in ray.text
    assert ray.remedy.startswith(f"ray status --address {address}")


def test_without_ray_its_address_is_nothing() -> None:
    found = places({"RAY_ADDRESS": closed()}, {}, [], 8)
    assert [f.topic for f in found] == ["executor"]


@pytest.mark.parametrize("address", ["box", "box:", ":6379", "box:port", "box:99999999"])
def test_what_is_no_address_is_said(address: str) -> None:
    assert unreachable(address)


def test_the_address_of_a_client_is_not_that_of_a_cluster(address: str) -> None:
    assert "Ray's client" in unreachable(f"ray://{address}")
