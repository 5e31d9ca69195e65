"""All cores at once, for arithmetic on arrays, during which Python's lock is free."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(work: Callable[[_T], _R], pieces: Sequence[_T]) -> Iterator[_R]:
    """Do work on each piece, on all cores; yield what came of them, in their order."""
    threads = min(cores(), len(pieces))
    if threads < 2:
        yield from map(work, pieces)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="cores") as pool:
        yield from pool.map(work, pieces)
