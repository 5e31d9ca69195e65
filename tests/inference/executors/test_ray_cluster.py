"""A cluster is joined or started, or it is said why not."""

import os
import signal
import socket
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from ensemble.errors import ProviderError, UsageError
from ensemble.inference.executors import ray_cluster
from ensemble.inference.executors.nodes import Node
from ensemble.inference.executors.ray_cluster import join, leave, nodes


@dataclass
class FakeRay:
    """Ray without a cluster: `fault` is what it raises when it is started."""

    fault: Exception | None = None
    running: bool = False
    begun: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    ended: int = 0

    def __post_init__(self) -> None:
        self._private = SimpleNamespace(worker=SimpleNamespace(print_to_stdstream=print))

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(gcs_address="10.0.0.1:6379")

    def is_initialized(self) -> bool:
        return self.running

    def init(self, address: str, **more: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        self.begun.append((address, more))
        if self.fault:
            raise self.fault

    def shutdown(self) -> None:
        self.ended += 1

    def nodes(self) -> list[dict[str, object]]:
        about = {"NodeID": "a", "NodeManagerAddress": "10.0.0.1", "Alive": True,
                 "Resources": {"CPU": 8.0, "GPU": 2.0}}  # fmt: skip
        return [about, {**about, "NodeID": "b", "Resources": {}}, {**about, "Alive": False}]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(ray_cluster, "ray", fake)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return fake


def test_without_an_address_ray_is_started_here_and_says_nothing(
    ray: FakeRay, capsys: pytest.CaptureFixture[str]
) -> None:
    assert join("")
    ((address, more),) = ray.begun
    assert address == "local"
    assert (more["log_to_driver"], more["include_dashboard"]) == (False, False)
    ray._private.worker.print_to_stdstream({"lines": ["a worker died"]}, ignore_prefix=False)
    assert capsys.readouterr() == ("", "")


def test_usage_is_not_reported() -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_cluster_that_answers_is_joined_with_what_it_has(
    ray: FakeRay, by_variable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if by_variable:
            monkeypatch.setenv("RAY_ADDRESS", address)
        join("" if by_variable else address)
    ((found, more),) = ray.begun
    assert found == address
    assert "num_cpus" not in more


def test_an_address_where_nobody_answers_is_told_before_ray_tries(ray: FakeRay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ProviderError, match=f"Ray at {address} does not answer: .*ray start"):
        join(address)
    assert ray.begun == []


@pytest.mark.parametrize(
    "fault",
    [
        ValueError("Attempting to cap object store memory usage at 20 bytes, but the minimum "
                   "allowed is 78643200 bytes."),
        ConnectionError("Could not find any running Ray instance."),
        RuntimeError("Version mismatch: The cluster was started with Ray: 2.40.0"),
        OSError(28, "No space left on device"),
    ],
)  # fmt: skip
def test_what_ray_refuses_is_told_with_what_it_needs(ray: FakeRay, fault: Exception) -> None:
    ray.fault = fault
    with pytest.raises(ProviderError, match="Ray cannot be started here: .*/dev/shm") as found:
        join("")
    assert str(fault)[:40] in str(found.value)


@pytest.mark.parametrize("address", ["", "auto", "10.0.0.1:6379"])
def test_a_python_that_uses_ray_keeps_its_cluster(ray: FakeRay, address: str) -> None:
    ray.running = True
    own = join(address)
    leave(own=own)
    assert (own, ray.begun, ray.ended) == (False, [], 0)


@pytest.mark.parametrize("address", ["10.0.0.2:6379", "local"])
def test_the_address_of_another_cluster_than_this_python_uses_is_refused(
    ray: FakeRay, address: str
) -> None:
    ray.running = True
    with pytest.raises(UsageError, match=f"'{address}': this Python uses Ray at 10.0.0.1:6379"):
        join(address)


def test_when_a_cluster_is_left_ray_prints_again(ray: FakeRay) -> None:
    internals = ray._private.worker
    own = join("")
    assert internals.print_to_stdstream is not print
    leave(own=own)
    assert internals.print_to_stdstream is print


def test_a_cluster_that_was_joined_here_is_left(ray: FakeRay) -> None:
    leave(own=join(""))
    assert ray.ended == 1


def test_what_sigterm_does_stays(ray: FakeRay) -> None:
    before = signal.getsignal(signal.SIGTERM)
    join("")
    assert signal.getsignal(signal.SIGTERM) is before


def test_machines_are_those_that_are_alive(ray: FakeRay) -> None:
    assert nodes() == [Node("a", "10.0.0.1", 8, 2), Node("b", "10.0.0.1", 0, 0)]
