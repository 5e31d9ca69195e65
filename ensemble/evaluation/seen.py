"""What a metric sees of predictions, and no more: a value a row, a label a row, or all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.errors import UsageError
from ensemble.evaluation.metrics import Metric, Truth

Scorer: TypeAlias = Callable[[Indices], Vector]
"""Scores K predictions, (K,), with each row taken a number of times, int64 (N,)."""

Rows: TypeAlias = slice | NDArray[np.bool_]
"""Some of the rows: a run of them, or a mask (N,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a metric sees of predictions of N rows in C classes.

    `rows` are the values (N,) whose mean is the score, float64; the labels (N,), int32, of which
    it counts the confusion matrix; or the predictions (N, C) themselves.
    """

    rows: NDArray[np.float64] | NDArray[np.int32]
    classes: int

    @classmethod
    def of(cls, metric: Metric, y: Truth, probs: Pooled) -> "Seen":
        """Return what a metric sees of predictions (N, C) and their truth."""
        if metric.each is not None:
            return cls(metric.each(y, probs), probs.shape[1])
        if metric.counted is not None:
            return cls(probs.argmax(1).astype(np.int32), probs.shape[1])
        return cls(np.asarray(probs, np.float64), probs.shape[1])

    @staticmethod
    def joined(found: Sequence[tuple[Rows, "Seen"]], rows: int) -> "Seen":
        """Put together what was seen of so many rows, each part with its places."""
        first = found[0][1]
        whole = np.empty((rows, *first.rows.shape[1:]), first.rows.dtype)
        for places, part in found:
            whole[places] = part.rows
        return Seen(whole, first.classes)

    def score(self, metric: Metric, y: Truth) -> float:
        """Return the score, as the metric gives it of the predictions."""
        if metric.each is not None:
            return float(np.mean(self.rows))
        if metric.counted is not None:
            cells = _cells(y, self)
            return metric.counted(_table(cells, None, self.classes))
        return metric.score(y, np.asarray(self.rows, np.float64))


def scorer(metric: Metric, y: Truth, seen: Sequence[Seen]) -> Scorer:
    """Return what scores predictions with each row taken a number of times.

    Where the metric is a mean, only sums are drawn; where it is of a confusion matrix, rows that
    all predictions label alike are counted together.
    """
    if metric.each is not None:
        values = np.array([each.rows for each in seen])

        def by_sums(times: Indices) -> Vector:
            return np.asarray(values @ times.astype(np.float64) / times.sum(), np.float64)

        return by_sums
    if metric.counted is not None:
        return _by_counts(metric.counted, y, seen)

    def by_rows(times: Indices) -> Vector:
        rows = np.repeat(np.arange(len(times)), times)
        try:
            return np.array([metric.score(y[rows], np.asarray(s.rows[rows])) for s in seen])
        except UsageError:  # a metric of one's own that is not defined on these rows
            return np.full(len(seen), np.nan)

    return by_rows


def _by_counts(
    counted: Callable[[NDArray[np.float64]], float], y: Truth, seen: Sequence[Seen]
) -> Scorer:
    classes, kind = seen[0].classes, np.zeros(len(y), np.int64)
    cells = [_cells(y, each) for each in seen]
    for each in cells:
        kind = np.unique(kind * classes**2 + each, return_inverse=True)[1].astype(np.int64)
    kinds = int(kind.max(initial=0)) + 1
    of_kind = np.empty((len(cells), kinds), np.int64)
    for into, each in zip(of_kind, cells, strict=True):
        into[kind] = each

    def by_counts(times: Indices) -> Vector:
        weights = np.asarray(np.bincount(kind, times, kinds), np.float64)
        return np.array([counted(_table(each, weights, classes)) for each in of_kind])

    return by_counts


def _cells(y: Truth, seen: Seen) -> Indices:
    """Return the cell of the confusion matrix that each row falls into, int64 (N,)."""
    return np.asarray(y.astype(np.int64) * seen.classes + seen.rows, np.int64)


def _table(cells: Indices, weights: Vector | None, classes: int) -> NDArray[np.float64]:
    """Return a confusion matrix, rows the truth."""
    flat = np.bincount(cells, weights, classes * classes)
    return np.asarray(flat.reshape(classes, classes), np.float64)
