"""All cores at once, for arithmetic on arrays, during which Python's lock is free."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

_T = TypeVar("_T")
_R = TypeVar("_R")


def processors() -> list[int]:
    """Return the numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cores() -> int:
    """Return how many processors this process may use."""
    return len(processors())


def each(work: Callable[[_T], _R], pieces: Sequence[_T]) -> list[_R]:
    """Do work on each piece, on all cores; return what came of them, in their order.

    Meanwhile BLAS has one thread: those that it would start for each piece wait for one another
    by turning round, and take the cores from the other pieces.
    """
    threads = min(cores(), len(pieces))
    if threads < 2:
        return [work(piece) for piece in pieces]
    with _blas().limit(limits=1), ThreadPoolExecutor(threads, "cores") as pool:
        return list(pool.map(work, pieces))


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
