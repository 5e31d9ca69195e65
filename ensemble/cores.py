"""All cores at once, for arithmetic on arrays, during which Python's lock is free."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
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
    places, found = iter(range(len(pieces))), dict[int, _R]()

    def take() -> None:
        for place in places:  # of all threads; a task for each piece would cost more than some do
            found[place] = work(pieces[place])

    with _blas().limit(limits=1), ThreadPoolExecutor(threads, "cores") as pool:
        for taken in [pool.submit(take) for _ in range(threads)]:
            taken.result()
    return [found[place] for place in range(len(pieces))]


def ahead(pieces: Iterator[_T]) -> Iterator[_T]:
    """Yield pieces, each made by a thread while the one before it is worked on.

    Two of them are in memory therefore.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        coming = pool.submit(_next, pieces)
        while found := coming.result():
            coming = pool.submit(_next, pieces)
            yield from found


def _next(pieces: Iterator[_T]) -> list[_T]:
    """Return the next piece, in a list, which is empty where there is none."""
    return list(islice(pieces, 1))


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
