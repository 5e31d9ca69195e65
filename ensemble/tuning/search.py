"""Weights by search: for metrics of labels, which are flat almost everywhere, and for any callable.

Families are visited in the order given; callers sort them by name, so that neither a seed nor
the order of the arguments decides.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Vector
from ensemble.cores import each
from ensemble.evaluation.metrics import Metric, Truth
from ensemble.evaluation.seen import Seen
from ensemble.records import TASKS
from ensemble.tuning import lines
from ensemble.tuning.blocks import Stored, mean_of, parts, parts_of, score_of, seen_by, seen_of
from ensemble.tuning.paths import Beside
from ensemble.voting.pools import linear

PICKS: Final = 25
BAGS: Final = 5

_PASSES: Final = 20
_ENOUGH: Final = 0.01
_BETTER: Final = 1e-12


def coordinate_ascent(stack: Stored, y: Truth, metric: Metric, start: Vector) -> Vector:
    """Better a metric of labels, the AUC or the MAE, family by family with exact line searches.

    Each step blends a family with the others, which keep their proportions (Och 2003). It is
    taken only where it is strictly better, so the result is never worse than `start`. The last
    round of all families is one that gains nothing; or, for a score of 0 to 1, less than a
    hundredth of 1 / √N, about a standard error.
    """
    field = _Field.of(stack, y, metric)
    weights: Vector = start / start.sum()
    best = field.score(weights)
    enough = _ENOUGH / np.sqrt(len(y)) if TASKS[metric.task].single else 0.0
    for _ in range(_PASSES):
        before = best
        weights, best = field.round(weights, best)
        if metric.gain(best, before) <= enough:
            break
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """Where is searched: families (M, n, C), but for rows to which all of them give one label.

    No blend gives those another, so for a metric of labels they stand `beside`, and `agreed` is
    what the metric sees of them. For another metric all rows are searched.
    """

    stack: Stored
    y: Truth
    metric: Metric
    beside: Beside | None = None
    agreed: Seen | None = None

    @classmethod
    def of(cls, stack: Stored, y: Truth, metric: Metric) -> "_Field":
        if not metric.by_label:
            return cls(stack, y, metric)
        found = each(lambda part: stack[:, part].argmax(2), parts_of(stack))
        labels = np.concatenate([block[0] for block in found])
        rows = np.concatenate([(block != block[0]).any(0) for block in found])
        hot = np.eye(stack.shape[2])
        agreed = seen_by(metric, y, parts(len(y), len(hot)), lambda part: hot[labels[part]])
        return cls(stack[:, rows], y, metric, Beside(labels, rows), agreed)

    def score(self, weights: Vector) -> float:
        """Return the score of the mean of families by weights (M,)."""
        if self.beside is None or self.agreed is None:
            return _score(self.stack, self.y, self.metric, weights)
        rows, metric = self.beside.rows, self.metric
        found = seen_of(metric, self.y[rows], self.stack, lambda block: linear(block, weights))
        whole = Seen.joined([(slice(None), self.agreed), (rows, found)], len(self.y))
        return whole.score(metric, self.y)

    def round(self, weights: Vector, best: float) -> tuple[Vector, float]:
        """Search each family in turn, from weights and their score; return where that leads."""
        metric = self.metric
        for family in range(len(weights)):
            others = np.where(np.arange(len(weights)) == family, 0, weights)
            if others.sum() <= 0:
                continue
            share, promised = self.along(others, family)
            if metric.gain(promised, best) <= _BETTER:
                continue
            moved = others / others.sum() * (1 - share)
            moved[family] = share
            found = self.score(moved)
            if metric.gain(found, best) > _BETTER:
                weights, best = moved, found
        return weights, best

    def along(self, others: Vector, family: int) -> tuple[float, float]:
        """Return a family's best share beside others, and the score it promises, or NaN."""
        start, end, name = mean_of(self.stack, others), self.stack[family], self.metric.name
        if name == "mae":
            return lines.best_share(name, self.y, start, end), np.nan
        classes = np.asarray(self.y, np.int64)
        levels, beside = self.metric.levels, self.beside
        return lines.search(name, classes, start, end, levels, beside=beside).best()


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


def _score(stack: Stored, y: Truth, metric: Metric, weights: Vector) -> float:
    return score_of(metric, y, stack, lambda block: linear(block, weights))
