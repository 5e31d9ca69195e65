"""Labels along a line: where the argmax of each row changes between two predictions."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.cores import each
from ensemble.tuning.blocks import Kept, parts


@dataclass(frozen=True, slots=True)
class LabelPath:
    """Labels along a line: those at the start (N,), and every change, in order of its place."""

    start: Indices
    places: Vector
    rows: Indices
    old: Indices
    new: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Rows among others: those that are followed, a mask (N,), and the labels that the others keep.

    `labels` are int64 (N,); those of the rows that are followed mean nothing.
    """

    labels: Indices
    rows: NDArray[np.bool_]

    def path(self, own: LabelPath) -> LabelPath:
        """Return the path of all rows by that of those that are followed."""
        start = self.labels.copy()
        start[self.rows] = own.start
        return replace(own, start=start, rows=np.flatnonzero(self.rows)[own.rows])


def walk(start: Pooled, end: Kept) -> LabelPath:
    """Follow the argmax of start + l (end - start), both (N, C), from l = 0 to 1.

    Each row's argmax is the upper envelope of C straight lines. Most rows keep their label, or
    change it once; those that change it more often walk together.
    """

    def walked(part: slice) -> LabelPath:
        begin = np.ascontiguousarray(start[part].T)  # rows last: their classes lie in long runs
        return _walk(begin, np.asarray(end[part].T, np.float64, order="C"), part.start or 0)

    found = each(walked, parts(*start.shape))
    places = np.concatenate([path.places for path in found])
    by_place = np.argsort(places, kind="stable")
    return LabelPath(
        np.concatenate([path.start for path in found]),
        places[by_place],
        np.concatenate([path.rows for path in found])[by_place],
        np.concatenate([path.old for path in found])[by_place],
        np.concatenate([path.new for path in found])[by_place],
    )


def _walk(begin: Pooled, close: Pooled, first: int) -> LabelPath:
    """Follow a block (C, n), whose first row has this number; a row's changes come in order."""
    labels, tied = _on_top(begin)
    for row in np.flatnonzero(tied).tolist():  # the steepest wins from there on
        level = begin[:, row] == begin[labels[row], row]
        labels[row] = np.where(level, close[:, row] - begin[:, row], -np.inf).argmax()
    # a line that is on top at both ends is so between them: the maximum of lines is convex
    rows = np.flatnonzero(close[labels, np.arange(len(labels))] < close.max(0))
    begin, close = begin[:, rows], close[:, rows]
    slope, old = close - begin, labels[rows]
    target, tied = _on_top(close)
    place, alone = _crossed(begin, slope, old, target)
    once = alone & ~tied
    more = _rounds(begin[:, ~once].T, slope[:, ~once].T, old[~once], rows[~once])
    once &= place < 1
    own = (place[once], rows[once], old[once], target[once])
    where, which, before, after = (np.concatenate(pair) for pair in zip(own, more, strict=True))
    return LabelPath(labels, where, which + first, before, after)


def _on_top(values: Pooled) -> tuple[Indices, NDArray[np.bool_]]:
    """Return the first class of the largest value (C, n) of each row, and whether others tie."""
    level = values == values.max(0)
    tied = np.add.reduce(level, 0, np.int32) > 1
    labels = np.arange(len(values), dtype=np.float32) @ level.astype(np.float32)
    labels[tied] = level[:, tied].argmax(0)
    return labels.astype(np.int64), tied


def _crossed(
    begin: Pooled, slope: Pooled, old: Indices, new: Indices
) -> tuple[Vector, NDArray[np.bool_]]:
    """Return where the line of one class meets that of another, and whether none is above it."""
    row = np.arange(len(old))
    behind = begin[old, row] - begin[new, row]
    place = np.maximum(behind / (slope[new, row] - slope[old, row]), 0.0)
    values = begin + place * slope
    height = values[old, row]
    values[old, row] = values[new, row] = -np.inf
    return place, values.max(0, initial=-np.inf) < height


def _rounds(
    begin: Pooled, slope: Pooled, label: Indices, rows: Indices
) -> tuple[Vector, Indices, Indices, Indices]:
    """Return every change of rows (n, C): its place, row, old and new label, round by round."""
    place = np.zeros(len(rows))
    found = [(place[:0], rows[:0], label[:0], label[:0])]
    while len(rows):
        own = np.arange(len(rows))
        steeper = slope - slope[own, label][:, None]
        behind = begin[own, label][:, None] - begin
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = np.where(steeper > 0, behind / steeper, np.inf)
        crossing = np.maximum(crossing, place[:, None])
        place = crossing.min(1)
        going = place < 1
        rows, label, place = rows[going], label[going], place[going]
        begin, slope = begin[going], slope[going]
        tied = crossing[going] <= place[:, None]
        target = np.where(tied, slope, -np.inf).argmax(1).astype(np.int64)
        found.append((place, rows, label, target))
        label = target
    places, moved, old, new = (np.concatenate(column) for column in zip(*found, strict=True))
    return places, moved, old, new
