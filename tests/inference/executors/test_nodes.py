"""Room for workers on the machines of a cluster, by what the cluster says of them."""

import pytest

from ensemble.errors import ProviderError, UsageError
from ensemble.inference.executors.nodes import Node, Slot, slots

HEAD = Node("h" * 8, "10.0.0.1", 0, 0)
BOX = Node("b" * 8, "10.0.0.2", 8, 0)
RIG = Node("r" * 8, "10.0.0.3", 16, 4)


def test_processors_of_a_machine_are_shared_out_among_its_workers() -> None:
    assert slots([BOX], "cpu", 2, 0) == [
        Slot("10.0.0.2/0", BOX.id, 4, gpu=False), Slot("10.0.0.2/1", BOX.id, 4, gpu=False),
    ]  # fmt: skip


def test_a_gpu_has_a_worker_with_its_share_of_the_processors() -> None:
    found = slots([BOX, RIG], "cuda", 1, 0)
    assert [(slot.name, slot.cpus, slot.gpu) for slot in found] == [
        (f"10.0.0.3/{number}", 4, True) for number in range(4)
    ]


@pytest.mark.parametrize(("nodes", "on_gpus"), [([BOX, RIG], True), ([BOX], False)])
def test_auto_takes_the_gpus_if_there_are_any(nodes: list[Node], on_gpus: bool) -> None:
    assert {slot.gpu for slot in slots(nodes, "auto", 1, 0)} == {on_gpus}


def test_cpu_leaves_gpus_alone() -> None:
    assert [slot.gpu for slot in slots([RIG], "cpu", 1, 0)] == [False]


def test_a_head_without_processors_has_no_worker() -> None:
    assert {slot.node for slot in slots([HEAD, BOX], "cpu", 1, 0)} == {BOX.id}


def test_a_gpu_of_a_machine_without_processors_asks_for_none() -> None:
    assert slots([Node("g", "10.0.0.4", 0, 1)], "cuda", 1, 0)[0].cpus == 0


@pytest.mark.parametrize(("workers", "count"), [(1, 1), (8, 8), (100, 8)])
def test_a_machine_has_no_more_workers_than_processors(workers: int, count: int) -> None:
    assert len(slots([BOX], "cpu", workers, 0)) == count


def test_threads_bound_the_processors_of_each_machine() -> None:
    assert [slot.cpus for slot in slots([BOX], "cpu", 2, 4)] == [2, 2]


def test_machines_of_one_address_are_told_apart() -> None:
    names = [s.name for s in slots([BOX, Node("c" * 8, "10.0.0.2", 8, 0)], "cpu", 1, 0)]
    assert names == ["10.0.0.2-bbbbbb/0", "10.0.0.2-cccccc/0"]


def test_the_order_of_machines_does_not_matter() -> None:
    assert slots([BOX, RIG], "cpu", 1, 0) == slots([RIG, BOX], "cpu", 1, 0)


def test_a_gpu_by_its_number_is_refused() -> None:
    with pytest.raises(UsageError, match="the cluster hands out the GPUs itself; say cuda"):
        slots([RIG], "cuda:1", 1, 0)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_workers_beside_gpus_are_refused_unless_they_are_as_many(device: str) -> None:
    with pytest.raises(UsageError, match="workers 3 with device .*, here 4 a machine.*device cpu"):
        slots([BOX, RIG], device, 3, 0)
    assert len(slots([BOX, RIG], device, 4, 0)) == 4


def test_openvino_runs_on_processors_of_any_machine() -> None:
    assert {(slot.node, slot.gpu) for slot in slots([BOX, RIG], "openvino", 1, 0)} == {
        (BOX.id, False), (RIG.id, False)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "device", "thing"),
    [([BOX], "cuda", "GPU.*--num-gpus"), ([HEAD], "cpu", "processor.*--num-cpus")],
)
def test_no_room_is_told_with_what_makes_some(nodes: list[Node], device: str, thing: str) -> None:
    with pytest.raises(ProviderError, match=f"none of the 1 machines .* has a {thing}"):
        slots(nodes, device, 1, 0)
