"""What more evaluations are worth: the frontier of cost and score, each point nested.

A point's score is that of a procedure, not of a choice: on each fold's other rows the options are
selected anew and the blend is fitted, as dear at most as the point is, and the fold is predicted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.evaluation.bootstrap import Interval, spread
from ensemble.evaluation.metrics import Metric
from ensemble.tuning.market import Chosen, Market, cost_of
from ensemble.tuning.selection import path
from ensemble.voting.weights import Pool

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A choice on the frontier, with the nested score of choosing for its cost.

    `seconds` are those of an image with one member of each family, which is what the score is of.
    `interval` is where the score on all images like these rows lies, with 95 %: of m other images
    a score moves by itself too, and lies within one √(1 + N/m) times as wide.
    `nested` (N, C) is what the metric sees of rows that neither the choice nor the blend saw.
    """

    chosen: Chosen
    seconds: float
    score: float
    interval: Interval | None
    nested: Pooled


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """What points are judged by: the metric, the folds and groups of the rows, and the pool."""

    metric: Metric
    folds: Indices
    groups: Indices | None
    pool: Pool


def frontier(market: Market, judge: Judge, tick: Callable[[int], None]) -> list[Point]:
    """Return the points by cost, each better than all that are cheaper; up to the best.

    Args:
        market: The options on all rows.
        judge: How points are scored.
        tick: Told of each fold that is done, and of the path over all rows.
    """
    choices = path(market)
    tick(1)
    nested = _nested(market, judge, [cost_of(market, chosen) for chosen in choices], tick)
    points: list[Point] = []
    for chosen, probs in zip(choices, nested, strict=True):
        score = judge.metric.score(market.y, probs)
        if points and judge.metric.gain(score, points[-1].score) <= 0:
            continue
        interval = spread(judge.metric, market.y, [probs], judge.groups).interval
        points.append(Point(chosen, cost_of(market, chosen), score, interval, probs))
    return points


def knee(points: Sequence[Point], market: Market, judge: Judge) -> Point:
    """Return the cheapest point that is within one standard error of the last, the best."""
    best = points[-1]
    for point in points[:-1]:
        lost = spread(judge.metric, market.y, [best.nested, point.nested], judge.groups)
        if lost.error is not None and lost.value <= lost.error:
            return point
    return best


def _nested(
    market: Market, judge: Judge, costs: Sequence[float], tick: Callable[[int], None]
) -> list[Pooled]:
    """Predict every row by what is chosen and fitted without its fold, for each cost: (N, C)."""
    parts: list[list[Pooled]] = [[] for _ in costs]
    numbers = np.unique(judge.folds)
    for fold in numbers:
        held = judge.folds == fold
        seen, rest = market.among(~held), market.among(held)
        choices = path(seen)
        for part, cost in zip(parts, costs, strict=True):
            chosen = _affordable(choices, market, cost)
            fitted = seen.fit(chosen, judge.metric, judge.pool)
            part.append(rest.predicted(chosen, fitted))
        tick(1)
    places = np.concatenate([np.flatnonzero(judge.folds == fold) for fold in numbers])
    back = np.argsort(places)
    return [np.concatenate(part)[back] for part in parts]


def _affordable(choices: Sequence[Chosen], market: Market, cost: float) -> Chosen:
    """Return the dearest choice that costs no more; the cheapest there is, if all do."""
    fitting = [each for each in choices if cost_of(market, each) <= cost * (1 + _ROUNDING)]
    return fitting[-1] if fitting else choices[0]
