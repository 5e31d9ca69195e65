"""Predictions slice by slice: as many rows at once as fit into a fixed amount of memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions
from ensemble.voting.vote import Ballot

_BYTES: Final = 1 << 24
"""What the float64 of one slice may take, of all members together."""

_FEWEST: Final = 1024
"""A slice has a power of two of rows, and no fewer: so its sums are those of the whole, to the bit,
since BLAS adds the same numbers in the same order in whole blocks."""


class BallotSlices(Protocol):
    """Gives the members' predictions of the same rows, in their order, slice by slice."""

    def __call__(self, rows: int) -> Iterator[Sequence[Ballot]]:
        """Yield the ballots of the next `rows` rows, and of what is left at the end.

        Of no rows at all there is one slice, which is empty.

        Raises:
            StoreError: a shard is missing or torn by now.
            UsageError: a file is another by now.
        """


def rows_of_slice(columns: int) -> int:
    """Return how many rows a slice has, where each has so many numbers."""
    fitting = _BYTES // (8 * max(columns, 1))
    return max(_FEWEST, 1 << (fitting.bit_length() - 1) if fitting else 0)


def row_slices(count: int, rows: int) -> list[slice]:
    """Return the slices of `count` rows; at least one, which may be empty."""
    starts = range(0, max(count, 1), rows)
    return [slice(start, min(start + rows, count)) for start in starts]


def in_memory(predictions: Predictions) -> BallotSlices:
    """Return predictions that are in memory as slices."""

    def slices(rows: int) -> Iterator[Sequence[Ballot]]:
        for at in row_slices(len(predictions.ids), rows):
            yield [replace(each, probs=each.probs[at]) for each in predictions.ballots]

    return slices


def task_slices(tasks: TaskPredictions, rows: int) -> Iterator[TaskPredictions]:
    """Yield predictions of several tasks slice by slice."""
    for at in row_slices(len(tasks.ids), rows):
        yield replace(tasks, parts=tuple(_part(part, at) for part in tasks.parts))


def _part(part: Predictions, at: slice) -> Predictions:
    families = {name: probs[at] for name, probs in part.families.items()}
    folds = None if part.folds is None else part.folds[at]
    return replace(part, ids=part.ids[at], families=families, folds=folds)
