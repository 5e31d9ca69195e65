"""Weights by search: for metrics of labels, which are flat almost everywhere, and for any callable.

Families are visited in the order given; callers sort them by name, so that neither a seed nor
the order of the arguments decides.
"""

from typing import Final

import numpy as np

from ensemble.arrays import Vector
from ensemble.evaluation.metrics import Metric, Truth
from ensemble.tuning import lines
from ensemble.tuning.blocks import Stored, mean_of, score_of
from ensemble.voting.pools import linear

PICKS: Final = 25
BAGS: Final = 5

_PASSES: Final = 20
_BETTER: Final = 1e-12


def coordinate_ascent(stack: Stored, y: Truth, metric: Metric, start: Vector) -> Vector:
    """Better a metric of labels, the AUC or the MAE, family by family with exact line searches.

    Each step blends a family with the others, which keep their proportions (Och 2003). It is
    taken only where it is strictly better, so the result is never worse than `start`.
    """
    weights: Vector = start / start.sum()
    best = _score(stack, y, metric, weights)
    for _ in range(_PASSES):
        before = best
        for family in range(len(stack)):
            others = np.where(np.arange(len(stack)) == family, 0, weights)
            if others.sum() <= 0:
                continue
            share, promised = _along(stack, y, metric, others, family)
            if metric.gain(promised, best) <= _BETTER:
                continue
            moved = others / others.sum() * (1 - share)
            moved[family] = share
            found = _score(stack, y, metric, moved)
            if metric.gain(found, best) > _BETTER:
                weights, best = moved, found
        if best == before:
            break
    return weights


def bagged_climb(stack: Stored, y: Truth, metric: Metric, start: Vector) -> Vector:
    """Raise any metric: greedy picks with replacement, averaged over bags of rows.

    From `start`, each of `PICKS` picks adds the family that helps most (Caruana and others 2004),
    and each of `BAGS` bags leaves out every fifth row, which keeps single rows from deciding. The
    weights of each bag are those at its best pick.
    """
    rows = np.arange(len(y))
    bags = [rows % BAGS != bag for bag in range(BAGS)]
    found = [_climb(stack[:, bag], y[bag], metric, start / start.sum()) for bag in bags]
    mean = np.mean(found, axis=0)
    return np.asarray(mean / mean.sum(), np.float64)


def _climb(stack: Stored, y: Truth, metric: Metric, start: Vector) -> Vector:
    families = np.eye(len(stack))
    counts = start * PICKS  # the start weighs as much as all picks together
    best: Vector = counts.copy()
    top = _score(stack, y, metric, counts)
    for _ in range(PICKS):
        scores = [_score(stack, y, metric, counts + pick) for pick in families]
        gains = [metric.gain(score, top) for score in scores]
        chosen = int(np.argmax(gains))
        counts = counts + families[chosen]
        if gains[chosen] > _BETTER:
            best, top = counts, scores[chosen]
    best /= best.sum()
    return best


def _along(
    stack: Stored, y: Truth, metric: Metric, others: Vector, family: int
) -> tuple[float, float]:
    """Return a family's best share beside others, and the score it promises, or NaN."""
    rest = mean_of(stack, others)
    if metric.name == "mae":
        return lines.best_share(metric.name, y, rest, stack[family]), np.nan
    classes = np.asarray(y, np.int64)
    return lines.search(metric.name, classes, rest, stack[family], metric.levels).best()


def _score(stack: Stored, y: Truth, metric: Metric, weights: Vector) -> float:
    return score_of(metric, y, stack, lambda block: linear(block, weights))
