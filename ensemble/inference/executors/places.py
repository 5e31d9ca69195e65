"""Where workers run on this machine: a GPU each, or a share of the processors each."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ensemble.cores import processors
from ensemble.errors import ProviderError, UsageError
from ensemble.runtime import nvidia
from ensemble.runtime.devices import (
    available_threads,
    check_device,
    numbers_of,
    runs_on_cpu,
    why_hidden,
    why_no_cuda,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place: what it is called, its device, and what it may use.

    `cores` are the processors that it keeps to, none where it may use all; `environment` is set
    before it imports anything, so that it sees its own GPU alone, as number 0.
    """

    name: str
    device: str
    threads: int
    cores: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def places_of(device: str, workers: int, threads: int) -> tuple[Place, ...]:
    """Return a place for each process that is to score; none where this process does.

    Args:
        device: "cuda" takes every GPU that is visible, "cuda:0,1" those that it names.
        workers: Processes on the CPU; 0 and 1 are this process.
        threads: Threads of all workers together; 0 for every processor.

    Raises:
        UsageError: workers and device that do not go together, or more workers than processors.
        ProviderError: a GPU that is not there.
    """
    check_device(device, several=True)
    if not runs_on_cpu(device):
        return _on_gpus(device, workers, threads or available_threads())
    if workers < 2:
        return ()
    return _on_processors(device, workers, threads or available_threads())


def _on_gpus(device: str, workers: int, threads: int) -> tuple[Place, ...]:
    """Return the places of GPUs; none for a single one, which this process uses itself."""
    kind, wanted, count = device.partition(":")[0], numbers_of(device), len(nvidia.gpus())
    if not wanted and kind != "auto":
        wanted = tuple(range(count))
    if workers > 1 and workers != len(wanted):
        raise UsageError(
            f"workers {workers} with device {device!r}: each GPU has one worker, here "
            f"{len(wanted) or 1}. --workers shares out the processors: say --device cpu"
        )
    if len(wanted) < 2:
        return ()
    if not count:
        why = why_no_cuda() or "no GPU can be seen"
        raise ProviderError(f"device {device!r}: {why}. See `ensemble doctor`")
    for number in wanted:
        if why := why_hidden(f"{kind}:{number}"):
            raise ProviderError(f"device {device!r}: {why}")
    each = max(1, threads // len(wanted))
    return tuple(
        Place(f"{kind}:{number}", kind, each, environment={nvidia.HIDING: _visible(number)})
        for number in wanted
    )


def _visible(number: int) -> str:
    """Return what makes a GPU, by the number that it has here, the only one that is seen."""
    told = os.environ.get(nvidia.HIDING, "")
    return told.split(",")[number].strip() if told else str(number)


def _on_processors(device: str, workers: int, threads: int) -> tuple[Place, ...]:
    cores = processors()
    if workers > min(len(cores), threads):
        raise UsageError(
            f"workers {workers}: expected at most one for each processor or thread, here "
            f"{min(len(cores), threads)}"
        )
    shares = zip(_shared(range(threads), workers), _shared(cores, workers), strict=True)
    return tuple(
        Place(str(number), device, len(mine), tuple(pinned))
        for number, (mine, pinned) in enumerate(shares, 1)
    )


def _shared(things: Sequence[int], workers: int) -> list[Sequence[int]]:
    """Share out things as evenly as may be, neighbours together."""
    ends = [len(things) * n // workers for n in range(workers + 1)]
    return [things[a:b] for a, b in pairwise(ends)]
