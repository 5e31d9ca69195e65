"""Decision rules: what to do with good probabilities when the metric is not the accuracy.

Each is exact: every threshold, cut and exponent at which the metric can change is tried; but for a
metric of one's own, for which a grid of exponents is.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.evaluation.metrics import Metric
from ensemble.tuning import lines
from ensemble.voting.pools import clipped_logs, with_prior

_ROUNDS: Final = 50
_SAME: Final = 1e-12
_EXPONENTS: Final = np.linspace(0, 1, 21)


def prior_exponent(metric: str, y: Indices, probs: Pooled, prior: Vector) -> float:
    """Return the τ in [0, 1] at which the argmax of p_c / π_c^τ serves the metric best.

    log p_c - τ log π_c is a straight line in τ, so the search is exact. 0 where nothing is
    gained.
    """
    logs = clipped_logs(probs)
    found = lines.search(metric, y, logs, logs - np.log(prior))
    tau, score = found.best()
    return tau if score > found.scores[0] + _SAME else 0.0


def tried_exponent(metric: Metric, y: Indices, probs: Pooled, prior: Vector) -> float:
    """Return the best τ of a grid on [0, 1] for any metric; 0 where nothing is gained.

    A class without rows has no share to divide by: then there is no exponent.
    """
    if not prior.all():
        return 0.0
    scores = [metric.score(y, with_prior(probs, prior, tau)) for tau in _EXPONENTS]
    gains = [metric.gain(score, scores[0]) for score in scores]
    best = int(np.argmax(gains))
    return float(_EXPONENTS[best]) if gains[best] > _SAME else 0.0


def label_thresholds(y: NDArray[np.int64], probs: Pooled) -> Vector:
    """Return for each label the threshold with the best F1, of multilabel (N, C).

    F1 of the k rows with the largest probability, for every k; the threshold lies half-way to
    the next row.
    """
    return np.array([_threshold(y[:, c] == 1, probs[:, c]) for c in range(probs.shape[1])])


def cut_points(y: Indices, levels: Vector, classes: int, worth: Sequence[float] = ()) -> Vector:
    """Return the C - 1 cuts of a level (N,) into ordered classes that maximise the quadratic kappa.

    `worth` are the numbers of the classes, C of them that ascend; empty for equally spaced ones.

    Kappa is one minus a ratio, disagreement over what chance would give. Dinkelbach's method
    (1967) turns the ratio into a sum, which dynamic programming over the sorted levels minimises
    exactly, in O(NC); the ratio falls in each round until it stays.
    """
    values, place = np.unique(levels, return_inverse=True)
    numbers = np.asarray(worth or range(classes), np.float64)
    weights = (numbers[:, None] - numbers) ** 2
    disagreement = np.zeros((len(values), classes))
    np.add.at(disagreement, place, weights[y])
    counts = np.bincount(place, minlength=len(values))
    chance = counts[:, None] * (weights.T @ np.bincount(y, minlength=classes) / len(y))
    ratio, ends = np.inf, np.zeros(classes - 1, np.int64)
    ratio_of = 1.0
    for _ in range(_ROUNDS):
        found = _segmented(disagreement - ratio_of * chance)
        label = np.searchsorted(found, np.arange(len(values)), side="right")
        rows = np.arange(len(values))
        now = float(disagreement[rows, label].sum() / chance[rows, label].sum())
        if now >= ratio - _SAME:
            break
        ratio, ratio_of, ends = now, now, found
    padded = np.concatenate([[values[0] - 1], values, [values[-1] + 1]])
    return np.asarray((padded[ends] + padded[ends + 1]) / 2, np.float64)


def _segmented(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Split rows (K, C) into C runs in order, run c paying column c, at the least cost.

    Returns the C - 1 places where a next run begins; runs may be empty.
    """
    rows, classes = costs.shape
    sums = np.vstack([np.zeros((1, classes)), np.cumsum(costs, 0)])
    best = sums[:, 0]
    begins = []
    for c in range(1, classes):
        saved = best - sums[:, c]
        lowest = np.minimum.accumulate(saved)
        fresh = np.append(True, saved[1:] < lowest[:-1])
        begins.append(np.maximum.accumulate(np.where(fresh, np.arange(rows + 1), 0)))
        best = lowest + sums[:, c]
    place, ends = rows, []
    for begin in reversed(begins):
        place = int(begin[place])
        ends.append(place)
    return np.array(ends[::-1], np.int64)


def _threshold(positive: NDArray[np.bool_], probs: Vector) -> float:
    order = np.argsort(-probs, kind="stable")
    sorted_probs = probs[order]
    last = np.append(np.diff(sorted_probs) < 0, True)
    taken = np.flatnonzero(last) + 1
    right = np.cumsum(positive[order])[taken - 1]
    best = int(np.argmax(2 * right / (taken + positive.sum())))
    below = sorted_probs[taken[best]] if taken[best] < len(probs) else 0.0
    return float((sorted_probs[taken[best] - 1] + below) / 2)
