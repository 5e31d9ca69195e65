"""The blends that compete, the simplest first: the mean, the best family, a subset, two pools.

None wins everywhere: on few rows, or where families are alike, the plain mean; where one is weak,
the best single one or a subset; else a pool. So each is fitted, and out-of-fold rows choose.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled
from ensemble.evaluation.metrics import METRICS, Metric, Truth
from ensemble.records import TASKS
from ensemble.tuning.blocks import Stored, parts, scores_of, seen_by
from ensemble.tuning.fit import can_polish, finished, has_rule, ruled, uniform, weighed
from ensemble.voting.blend import Blend
from ensemble.voting.decision import Decision
from ensemble.voting.weights import Polish, Pool

Name: TypeAlias = Literal["mean", "best", "subset", "linear", "log-linear", "rank"]

_BETTER = 1e-12


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to blend, that competes in cross-validation.

    `polish` goes on from a pool to chase the metric itself; `guarded` says that it is taken only
    where it gains a whole standard error. `rule` applies the metric's decision rule.
    """

    name: Name
    polish: bool = False
    guarded: bool = False
    rule: bool = False

    @property
    def pool(self) -> Name:
        """What it gives: polishing goes on from a pool of exponents to a linear one."""
        return "linear" if self.polish and self.name == "log-linear" else self.name


Fits: TypeAlias = Callable[[Stored, Truth, Sequence[Candidate]], Iterator[Blend]]
"""Fits candidates on the same rows, one by one, each with the metric's decision rule."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """What competes: ways to blend, how they are fitted, and what all are compared with."""

    ways: Sequence[Candidate]
    plain: Blend
    fits: Fits


def rivals_of(metric: Metric, families: int, pool: Pool | None, polish: Polish) -> Rivals:
    """Return what competes where families answer the same."""
    ways = candidates_of(metric, families, pool, polish)
    plain = uniform(families, metric.task)
    return Rivals(ways, plain, lambda stack, y, some: _fits(stack, y, metric, some))


def candidates_of(
    metric: Metric, families: int, pool: Pool | None, polish: Polish
) -> list[Candidate]:
    """List the ways to fit, the simplest first; a pool that is asked for meets the mean alone."""
    names: list[Name] = ["mean", "best", "subset"] if families > 1 and not pool else ["mean"]
    found = [Candidate(name) for name in names]
    pools = _pools(metric, pool)
    found += [Candidate(each, polish=polish == "always") for each in pools]
    of_labels = metric.by_label or metric.name not in METRICS[metric.task]
    searched = of_labels and polish == "auto" and can_polish(metric)
    return found + [Candidate(pools[-1], polish=True, guarded=True)] * searched


def variants_of(candidates: Sequence[Candidate], metric: Metric) -> list[Candidate]:
    """Return each candidate without and, where the metric has one, with its decision rule."""
    rules = (False, True) if has_rule(metric) else (False,)
    return [replace(each, rule=rule) for each in candidates for rule in rules]


def fitted(
    stack: Stored, y: Truth, metric: Metric, candidate: Candidate, fits: Fits | None = None
) -> Blend:
    """Fit a candidate on all rows given: families (M, N, C) and their truth."""
    found = fits(stack, y, [candidate]) if fits else _fits(stack, y, metric, [candidate])
    return without_rule(next(found), candidate)


def without_rule(blend: Blend, candidate: Candidate) -> Blend:
    """Return a blend as its candidate has it: without a decision rule where that has none."""
    return blend if candidate.rule else replace(blend, decision=Decision())


def crossed(
    stack: Stored, y: Truth, fits: Fits, ways: Sequence[Candidate], folds: Indices
) -> Iterator[tuple[NDArray[np.bool_], Iterator[Blend]]]:
    """Fit candidates on all folds but each.

    Yields:
        The rows of a fold, a mask (N,), and the blends of the other folds' rows, one by one.
    """
    for fold in np.unique(folds):
        held = folds == fold
        yield held, fits(stack[:, ~held], y[~held], ways)


def best_single(stack: Stored, y: Truth, metric: Metric) -> Blend:
    """Return the family with the best score; of equal ones the first."""
    gains = [metric.gain(score, 0.0) for score in scores_of(metric, y, stack)]
    return _only(stack, [int(np.argmax(gains))], metric)


def best_subset(stack: Stored, y: Truth, metric: Metric) -> Blend:
    """Return the mean of the families that forward selection takes.

    Each time the one that helps most; all are taken, and the first that scored best are kept.
    """
    left, top = list(range(len(stack))), -np.inf
    taken: list[int] = []
    best: list[int] = []
    total, places = np.zeros(stack.shape[1:]), parts(stack.shape[1], stack.shape[2])

    def score(family: int) -> float:
        def mean(part: slice) -> Pooled:
            own = np.asarray(stack[family, part], np.float64)
            return np.asarray((total[part] + own) / (len(taken) + 1), np.float64)

        return seen_by(metric, y, places, mean).score(metric, y)

    while left:
        gains = [metric.gain(score(family), 0.0) for family in left]
        place = int(np.argmax(gains))
        total += stack[left[place]]
        taken = [*taken, left.pop(place)]
        if gains[place] > top + _BETTER:
            best, top = taken, gains[place]
    return _only(stack, best, metric)


def _only(stack: Stored, families: Sequence[int], metric: Metric) -> Blend:
    weights = np.zeros(len(stack))
    weights[families] = 1 / len(families)
    return replace(uniform(len(stack), metric.task), weights=weights)


def _fits(stack: Stored, y: Truth, metric: Metric, ways: Sequence[Candidate]) -> Iterator[Blend]:
    """Fit candidates on the same rows; a pool that is polished is weighed once."""
    known: dict[Pool, Blend] = {}
    for way in ways:
        if way.name == "mean":
            yield ruled(uniform(len(stack), metric.task), stack, y, metric)
        elif way.name == "best":
            yield ruled(best_single(stack, y, metric), stack, y, metric)
        elif way.name == "subset":
            yield ruled(best_subset(stack, y, metric), stack, y, metric)
        else:
            if way.name not in known:
                known[way.name] = weighed(stack, y, metric, way.name)
            yield finished(known[way.name], stack, y, metric, polish=way.polish)


def _pools(metric: Metric, pool: Pool | None) -> Sequence[Pool]:
    """Return the pools that serve a metric, the simpler first."""
    if pool is not None:
        return (pool,)
    if metric.name == "brier" or not TASKS[metric.task].bounded:
        return ("linear",)
    return ("linear", "log-linear")
