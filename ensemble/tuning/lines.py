"""Exact search along a line: where a metric of labels is best between two predictions.

Along S(l) = A + l (B - A), l in [0, 1], each row's prediction changes at a few crossings only,
and a metric of labels is constant between them. All crossings are found and every stretch is
scored: no grid, no gradient.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.evaluation.metrics import Truth, auc
from ensemble.tuning.blocks import Kept
from ensemble.tuning.paths import Beside, LabelPath, walk

MAX_PAIRS: Final = 10_000_000
"""Above so many pairs, the area under the ROC curve is searched on a grid."""

_GRID: Final = 64
_SAME: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Stretches:
    """The line cut where the score changes: E + 2 ends from 0 to 1, E + 1 scores between."""

    ends: Vector
    scores: Vector

    def best(self) -> tuple[float, float]:
        """Return the middle of the widest best stretch, and its score; ties go to the first."""
        widths = np.diff(self.ends)
        solid = widths > _SAME
        scores = np.where(solid, self.scores, -np.inf)
        top = scores.max()
        chosen = int(np.argmax(np.where(scores >= top - _SAME, widths, -1)))
        return float(self.ends[chosen : chosen + 2].mean()), float(top)


def search(
    metric: str,
    y: Indices,
    start: Pooled,
    end: Kept,
    levels: Sequence[float] = (),
    *,
    beside: Beside | None = None,
) -> Stretches:
    """Score every stretch of the line between two predictions.

    Args:
        metric: One of `PATHS`, or "auc".
        y: The truth, int64 (N,).
        start: Predictions (N, C) at l = 0.
        end: Predictions (N, C) at l = 1, float32 or float64.
        levels: What the classes of "qwk" are worth, C numbers; empty for equally spaced.
        beside: Which of the rows `start` and `end` have, and the labels of the others; None for
            all.
    """
    if metric == "auc":
        return _areas(y, start, np.asarray(end, np.float64))
    path, classes = walk(start, end), start.shape[1]
    path = path if beside is None else beside.path(path)
    scores = _qwk(y, path, levels) if levels else PATHS[metric](y, path, classes)
    last = np.append(np.diff(path.places) > 0, True) if len(path.places) else np.empty(0, bool)
    keep = np.concatenate([[True], last])
    ends = np.concatenate([[0.0], path.places[last], [1.0]])
    return Stretches(ends, scores[keep])


def best_share(
    metric: str, y: Truth, start: Pooled, end: Kept, levels: Sequence[float] = ()
) -> float:
    """Return the place on the line, 0 to 1, that serves a metric of `PATHS`, "auc" or "mae" best.

    The mean absolute error |start + l d - y| is the sum of |d| |l - (y - start) / d|: a weighted
    median minimises it, and because it is convex its clip to [0, 1] is the best there.
    """
    if metric != "mae":
        return search(metric, np.asarray(y, np.int64), start, end, levels).best()[0]
    slope, wanted = (np.asarray(end, np.float64) - start).ravel(), (y - start).ravel()
    moving = slope != 0
    if not moving.any():
        return 0.0
    return min(max(_median(wanted[moving] / slope[moving], np.abs(slope[moving])), 0.0), 1.0)


def _median(values: Vector, weights: Vector) -> float:
    """Return the least value at which half of the weight lies at or below it."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _accuracy(y: Indices, path: LabelPath, classes: int) -> Vector:
    return _counted(y, path, np.full(classes, 1 / len(y)))


def _balanced_accuracy(y: Indices, path: LabelPath, classes: int) -> Vector:
    return _counted(y, path, 1 / (np.bincount(y, minlength=classes) * classes))


def _counted(y: Indices, path: LabelPath, worth: Vector) -> Vector:
    """Return the sum of the worth of the rows that are right, after each change."""
    truth = y[path.rows]
    change = ((path.new == truth).astype(np.int64) - (path.old == truth)) * worth[truth]
    return _along(float((worth[y] * (path.start == y)).sum()), change)


def _f1_macro(y: Indices, path: LabelPath, classes: int) -> Vector:
    """Return the mean F1: each change is of two classes, whose own F1 is followed by itself."""
    hits = np.bincount(y[path.start == y], minlength=classes)
    totals = np.bincount(y, minlength=classes) + np.bincount(path.start, minlength=classes)
    begin = 2 * hits / np.maximum(totals, 1)
    if not len(path.rows):
        return np.array([begin.mean()])
    truth, signs = y[path.rows], np.array([-1, 1], np.int8)
    touched = np.stack([path.old, path.new], 1)
    by_class = np.argsort(touched.ravel().astype(np.min_scalar_type(classes)), kind="stable")
    kind = touched.ravel()[by_class]
    first = np.append(True, kind[1:] != kind[:-1])
    found = np.broadcast_to(signs, touched.shape).ravel()[by_class]
    right = np.where(touched == truth[:, None], signs, 0).ravel()[by_class]
    total = _followed(found, first, totals[kind])
    own = 2 * _followed(right, first, hits[kind]) / np.maximum(total, 1)
    change = np.empty(len(touched) * 2)
    change[by_class] = own - np.where(first, begin[kind], np.append(0.0, own[:-1]))
    return _along(float(begin.mean()), change.reshape(-1, 2).sum(1) / classes)


def _followed(
    changes: NDArray[np.int8], first: NDArray[np.bool_], begin: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return running sums within runs, of which `first` marks the beginnings, from `begin` on."""
    sums = np.cumsum(changes, dtype=np.int64)
    starts = np.flatnonzero(first)
    before = np.append(0, sums)[starts]
    sums -= np.repeat(before, np.diff(np.append(starts, len(sums))))
    sums += begin
    return sums


def _equal_qwk(y: Indices, path: LabelPath, classes: int) -> Vector:
    return _qwk(y, path, range(classes))


def _qwk(y: Indices, path: LabelPath, levels: Sequence[float]) -> Vector:
    classes, worth = len(levels), np.asarray(levels, np.float64)
    weights, every = (worth[:, None] - worth) ** 2, np.arange(classes)
    truth = y[path.rows]
    change = weights[truth, path.new] - weights[truth, path.old]
    observed = _along(float(weights[y, path.start].sum()), change)
    found = (path.new[:, None] == every).astype(np.int64) - (path.old[:, None] == every)
    chance = weights.T @ np.bincount(y, minlength=classes) / len(y)
    expected = _predicted(path, found, classes) @ chance
    return 1 - np.divide(observed, expected, out=np.ones_like(observed), where=expected > 0)


def _predicted(path: LabelPath, found: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return how many rows each class is predicted for, after each change."""
    start = np.bincount(path.start, minlength=classes)
    return np.asarray(start + np.vstack([np.zeros((1, classes), np.int64), np.cumsum(found, 0)]))


def _along(start: float, change: Vector) -> Vector:
    return start + np.concatenate([[0.0], np.cumsum(change)])


PATHS: Final[Mapping[str, Callable[[Indices, LabelPath, int], Vector]]] = {
    "accuracy": _accuracy,
    "f1_micro": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
    "qwk": _equal_qwk,
}
"""How each metric of labels follows a path: its score before any change, and after each."""


def _areas(y: Indices, start: Pooled, end: Pooled) -> Stretches:
    """One crossing a pair of a positive and a negative row, for each class against the rest."""
    classes = start.shape[1]
    counts = np.bincount(y, minlength=classes)
    if int((counts * (len(y) - counts)).sum()) > MAX_PAIRS:
        return _sampled(y, start, end)
    level, places, changes = 0.0, [], []
    for c in range(classes):
        mine = y == c
        worth = 1 / (mine.sum() * (~mine).sum() * classes)
        before = (start[mine, c][:, None] - start[~mine, c]).ravel()
        after = (end[mine, c][:, None] - end[~mine, c]).ravel()
        sign = np.sign(np.where(before != 0, before, after))  # just after the start
        level += worth * float(((sign + 1) / 2).sum())
        crossing = before * after < 0
        at = before[crossing] / (before[crossing] - after[crossing])
        places.append(at)
        changes.append(worth * np.sign(after[crossing]))
    joined = np.concatenate(places)
    order = np.argsort(joined, kind="stable")
    scores = _along(level, np.concatenate(changes)[order])
    return Stretches(np.concatenate([[0.0], joined[order], [1.0]]), scores)


def _sampled(y: Indices, start: Pooled, end: Pooled) -> Stretches:
    ends = np.linspace(0, 1, _GRID + 1)
    middles = (ends[1:] + ends[:-1]) / 2
    return Stretches(ends, np.array([auc(y, start + m * (end - start)) for m in middles]))
