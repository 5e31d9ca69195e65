"""The machines of a cluster: which workers each has room for, by what the cluster says of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ensemble.errors import ProviderError, UsageError, few

PROCESSORS: Final = ("cpu", "openvino")
"""Devices that compute on processors, on any machine."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster: its id and address there, its processors and GPUs."""

    id: str
    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for a worker: what a person calls it, its machine, processors, a GPU if any."""

    name: str
    node: str
    cpus: int
    gpu: bool


def slots(nodes: Sequence[Node], device: str, workers: int, threads: int) -> list[Slot]:
    """Return the room for workers: one a GPU, or `workers` a machine on processors.

    The processors of a machine are shared out among its workers. One without processors, as the
    head of a cluster may be, has no worker but on GPUs.

    Args:
        nodes: The machines.
        device: "auto" takes the GPUs if there are any.
        workers: How many a machine, where they run on processors; never more than processors.
        threads: The processors to use of a machine; 0 for all.

    Raises:
        UsageError: the device names a GPU by its number, which the cluster does itself; or other
            workers than GPUs were asked for.
        ProviderError: there is no room for what was asked.
    """
    if ":" in device:
        kind = device.partition(":")[0]
        raise UsageError(f"device {device}: the cluster hands out the GPUs itself; say {kind}")
    on_gpus = any(n.gpus for n in nodes) if device == "auto" else device not in PROCESSORS
    counts = {node.gpus for node in nodes if node.gpus}
    if on_gpus and workers > 1 and counts - {workers}:
        raise UsageError(
            f"workers {workers} with device {device!r}: each GPU has one worker, here "
            f"{few(sorted(counts))} a machine. "
            f"--workers shares out the processors: say --device cpu"
        )
    found = []
    twice = Counter(node.address for node in nodes)
    for node in sorted(nodes, key=lambda node: (node.address, node.id)):
        name = node.address if twice[node.address] == 1 else f"{node.address}-{node.id[:6]}"
        count = node.gpus if on_gpus else min(workers, node.cpus)
        each = min(node.cpus, threads or node.cpus) // count if count else 0
        found += [
            Slot(f"{name}/{number}", node.id, max(each, min(node.cpus, 1)), on_gpus)
            for number in range(count)
        ]
    if not found:
        thing, flag = ("GPU", "--num-gpus") if on_gpus else ("processor", "--num-cpus")
        raise ProviderError(
            f"device {device}: none of the {len(nodes)} machines of the cluster has a {thing} for "
            f"Ray. Start their ray with {flag}, or say another --device"
        )
    return found
