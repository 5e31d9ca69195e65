"""Where workers run: each GPU that can be seen has one, or processors are shared out; else here."""

from collections.abc import Callable

import pytest

from ensemble.errors import ProviderError, UsageError
from ensemble.inference.executors import places
from ensemble.inference.executors.places import Place, places_of
from ensemble.runtime import devices, nvidia

SeeGpus = Callable[[int], None]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> SeeGpus:
    """A machine with so many GPUs, of which the environment hides none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def see(count: int) -> None:
        found = tuple(nvidia.Gpu(number, "Tesla T4", 15_000_000_000) for number in range(count))
        monkeypatch.setattr(nvidia, "gpus", lambda: found)
        monkeypatch.setattr(devices, "why_no_cuda", lambda: "" if count else "no driver")

    return see


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "processors", lambda: [0, 1, 4, 5])
    monkeypatch.setattr(places, "available_threads", lambda: 4)


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize("workers", [0, 1])
def test_without_workers_the_processors_are_this_process_s(
    gpus: SeeGpus, device: str, workers: int
) -> None:
    gpus(0)
    assert places_of(device, workers, 0) == ()


@pytest.mark.usefixtures("four_cores")
def test_workers_share_out_the_processors_evenly() -> None:
    assert places_of("cpu", 2, 0) == (
        Place("1", "cpu", 2, (0, 1)), Place("2", "cpu", 2, (4, 5)),
    )  # fmt: skip
    assert [(p.threads, p.cores) for p in places_of("cpu", 3, 0)] == [
        (1, (0,)), (1, (1,)), (2, (4, 5)),
    ]  # fmt: skip


@pytest.mark.usefixtures("four_cores")
def test_threads_that_are_asked_for_are_shared_out_too() -> None:
    assert [(p.threads, p.cores) for p in places_of("cpu", 2, 2)] == [(1, (0, 1)), (1, (4, 5))]


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("workers", "threads"), [(5, 0), (3, 2)])
def test_more_workers_than_processors_or_threads_are_refused(workers: int, threads: int) -> None:
    with pytest.raises(UsageError, match=f"workers {workers}: expected at most"):
        places_of("cpu", workers, threads)


@pytest.mark.parametrize("kind", ["cuda", "tensorrt"])
def test_each_gpu_that_can_be_seen_has_a_worker_that_sees_it_alone(
    gpus: SeeGpus, kind: str
) -> None:
    gpus(2)
    assert places_of(kind, 0, 4) == tuple(
        Place(f"{kind}:{n}", kind, 2, environment={"CUDA_VISIBLE_DEVICES": str(n)}) for n in (0, 1)
    )


@pytest.mark.parametrize(
    ("device", "count"),
    [("cuda", 0), ("cuda", 1), ("cuda:0", 2), ("cuda:1", 2), ("auto", 2), ("cpu", 2)],
)
def test_one_gpu_is_used_by_this_process_itself(gpus: SeeGpus, device: str, count: int) -> None:
    gpus(count)
    assert places_of(device, 0, 0) == ()


def test_gpus_that_are_named_are_taken_and_no_others(gpus: SeeGpus) -> None:
    gpus(4)
    found = places_of("cuda:3,1", 0, 0)
    assert [(p.name, p.environment["CUDA_VISIBLE_DEVICES"]) for p in found] == [
        ("cuda:3", "3"), ("cuda:1", "1"),
    ]  # fmt: skip


def test_a_gpu_that_the_environment_hides_is_not_taken(
    gpus: SeeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(2)  # of three: the driver counts those that can be seen
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 0")
    found = places_of("cuda", 0, 0)
    assert [p.environment["CUDA_VISIBLE_DEVICES"] for p in found] == ["2", "0"]
    with pytest.raises(ProviderError, match=r"no GPU 2: .* 2 GPUs, as .*DEVICES=2, 0 hides"):
        places_of("cuda:0,2", 0, 0)


def test_gpus_that_are_named_where_there_is_none_are_refused(gpus: SeeGpus) -> None:
    gpus(0)
    with pytest.raises(ProviderError, match=r"device 'cuda:0,1': .*ensemble doctor"):
        places_of("cuda:0,1", 0, 0)


def test_workers_of_another_number_than_the_gpus_are_refused(gpus: SeeGpus) -> None:
    gpus(2)
    assert len(places_of("cuda", 2, 0)) == 2
    for device, workers in (("cuda", 3), ("auto", 2), ("cuda:1", 2)):
        with pytest.raises(UsageError, match="say --device cpu"):
            places_of(device, workers, 0)


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="abacus"):
        places_of("abacus", 0, 0)
