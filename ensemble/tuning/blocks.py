"""Rows in blocks: what is long is worked through a piece at a time, by all cores.

A block of rows lies in a core's cache, where a million rows do not, and what is made of it on the
way is as small. What blocks give is taken in the order of the rows, so sums depend on no thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.cores import each
from ensemble.evaluation.metrics import Metric, Truth
from ensemble.evaluation.seen import Seen
from ensemble.voting.pools import Stack, linear

Stored: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
"""float32 or float64 (M, N, C): families as they are kept. What is computed of them is float64."""

Kept: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
"""float32 or float64 (N, C): one of them."""

_CELLS: Final = 2**17
"""How many numbers a block has: 1 MiB of float64."""

_LEAST_ROWS: Final = 256

_EXACT: Final = 2**25
"""So many probabilities, and fewer, are kept as float64."""

_R = TypeVar("_R")


def parts(rows: int, cells: int) -> Sequence[slice]:
    """Return the blocks of rows that have so many cells each, in order; one where all are few."""
    size = max(_LEAST_ROWS, _CELLS // max(cells, 1))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)] or [slice(0)]


def parts_of(stack: Stored) -> Sequence[slice]:
    """Return the blocks of the rows of families."""
    return parts(stack.shape[1], stack.shape[0] * stack.shape[2])


def exact(stack: Stored, part: slice) -> Stack:
    """Return rows of families as float64 (M, n, C)."""
    return np.asarray(stack[:, part], np.float64)


def kept(families: Sequence[Kept]) -> Stored:
    """Return families (N, C) as one array, as float64, or as float32 where they are many numbers.

    That rounds a probability by half of 1e-7 of it, and takes half the memory.
    """
    shape = (len(families), *families[0].shape)
    stack = np.empty(shape, np.float64 if np.prod(shape) <= _EXACT else np.float32)
    for into, family in zip(stack, families, strict=True):
        into[:] = family
    return stack


def filled(stack: Stored, work: Callable[[Stack], Pooled]) -> Pooled:
    """Return what work makes of each block of families (M, n, C): float64 (N, C)."""
    out = np.empty(stack.shape[1:])

    def fill(part: slice) -> None:
        out[part] = work(exact(stack, part))

    each(fill, parts_of(stack))
    return out


def to_shares(scores: NDArray[np.float64]) -> Vector:
    """Turn scores (C, n) into their softmax, in place; return the logarithm of its sums, (n,)."""
    top: Vector = scores.max(0)
    scores -= top
    np.exp(scores, out=scores)
    sums = scores.sum(0)
    scores /= sums
    top += np.log(sums)
    return top


def mean_of(stack: Stored, weights: Vector) -> Pooled:
    """Return the weighted mean of families, float64 (N, C); see `pools.linear`."""
    return filled(stack, lambda block: linear(block, weights))


def seen_of(metric: Metric, y: Truth, stack: Stored, work: Callable[[Stack], Pooled]) -> Seen:
    """Return what a metric sees of what work makes of each block of families (M, n, C)."""
    return seen_by(metric, y, parts_of(stack), lambda part: work(exact(stack, part)))


def seen_by(
    metric: Metric, y: Truth, places: Sequence[slice], predicted: Callable[[slice], Pooled]
) -> Seen:
    """Return what a metric sees of what is predicted for each block of rows, (n, C)."""
    found = each(lambda part: Seen.of(metric, y[part], predicted(part)), places)
    return Seen.joined(list(zip(places, found, strict=True)), len(y))


def score_of(metric: Metric, y: Truth, stack: Stored, work: Callable[[Stack], Pooled]) -> float:
    """Return the score of what work makes of each block of families (M, n, C)."""
    return seen_of(metric, y, stack, work).score(metric, y)


def scores_of(metric: Metric, y: Truth, stack: Stored) -> list[float]:
    """Return the score of each family."""
    return [score_of(metric, y, one[None], lambda block: block[0]) for one in stack]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Families of rows in blocks (M, C, n), rows last, and each block's classes, int64 (n,).

    So what is done to the classes of a row is done to long runs of memory.
    """

    blocks: Sequence[Stored]
    classes: Sequence[Indices]

    @classmethod
    def of(
        cls, stack: Stored, y: Indices, prepare: Callable[[Stored, Indices], Stored] | None = None
    ) -> "Packed":
        """Pack families, each block first prepared: (M, C, n) and classes (n,) to (M, C, n)."""

        def packed(part: slice) -> Stored:
            block: Stored = stack[:, part].transpose(0, 2, 1)
            own = block.copy()
            return own if prepare is None else prepare(own, y[part])

        places = parts_of(stack)
        return cls(each(packed, places), [y[part] for part in places])

    def added(self, work: Callable[[Stack, Indices], Sequence[_R]]) -> list[_R]:
        """Return the sums over blocks of what work makes of a block, float64, and its classes."""

        def done(place: int) -> Sequence[_R]:
            return work(np.asarray(self.blocks[place], np.float64), self.classes[place])

        found = each(done, range(len(self.blocks)))
        return [sum(column[1:], column[0]) for column in map(list, zip(*found, strict=True))]
