"""The blends that compete, the simplest first: the mean, the best family, a subset, two pools.

None wins everywhere: on few rows, or where families are alike, the plain mean; where one is weak,
the best single one or a subset; else a pool. So each is fitted, and out-of-fold rows choose.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.evaluation.metrics import METRICS, Metric, Truth
from ensemble.records import TASKS
from ensemble.tuning.fit import can_polish, fit, has_rule, ruled, uniform
from ensemble.voting.blend import Blend
from ensemble.voting.decision import Decision
from ensemble.voting.pools import Stack
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


Fit: TypeAlias = Callable[[Stack, Truth, Candidate], Blend]
"""Fits a candidate, with the metric's decision rule."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """What competes: ways to blend, how one is fitted, and what all are compared with."""

    ways: Sequence[Candidate]
    plain: Blend
    fit: Fit


def rivals_of(metric: Metric, families: int, pool: Pool | None, polish: Polish) -> Rivals:
    """Return what competes where families answer the same."""
    ways = candidates_of(metric, families, pool, polish)
    plain = uniform(families, metric.task)
    return Rivals(ways, plain, lambda stack, y, way: _fitted(stack, y, metric, way))


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
    stack: Stack, y: Truth, metric: Metric, candidate: Candidate, fit: Fit | None = None
) -> Blend:
    """Fit a candidate on all rows given: families (M, N, C), float64, and their truth."""
    blend = fit(stack, y, candidate) if fit else _fitted(stack, y, metric, candidate)
    return blend if candidate.rule else replace(blend, decision=Decision())


def crossed(
    stack: Stack,
    y: Truth,
    metric: Metric,
    way: Candidate,
    folds: Indices,
    *,
    fit: Fit | None = None,
) -> Iterator[tuple[Indices, list[Pooled]]]:
    """Predict each fold by a blend fitted on the others.

    Yields:
        The rows of a fold, a mask (N,), and what the metric is to see of them, (n, C): without
        and, where the metric has one, with its decision rule.
    """
    for fold in np.unique(folds):
        held = folds == fold
        rows = stack[:, ~held], y[~held]
        blend = fit(*rows, way) if fit else _fitted(*rows, metric, way)
        probs = blend.probs(stack[:, held])
        yield held, [probs, blend.decided(probs)] if has_rule(metric) else [probs]


def best_single(stack: Stack, y: Truth, metric: Metric) -> Blend:
    """Return the family with the best score; of equal ones the first."""
    gains = [metric.gain(metric.score(y, probs), 0.0) for probs in stack]
    return _only(stack, [int(np.argmax(gains))], metric)


def best_subset(stack: Stack, y: Truth, metric: Metric) -> Blend:
    """Return the mean of the families that forward selection takes.

    Each time the one that helps most; all are taken, and the first that scored best are kept.
    """
    left, top = list(range(len(stack))), -np.inf
    taken: list[int] = []
    best: list[int] = []
    total = np.zeros(stack.shape[1:])
    while left:
        means = ((total + stack[family]) / (len(taken) + 1) for family in left)
        gains = [metric.gain(metric.score(y, mean), 0.0) for mean in means]
        place = int(np.argmax(gains))
        total = total + stack[left[place]]
        taken = [*taken, left.pop(place)]
        if gains[place] > top + _BETTER:
            best, top = taken, gains[place]
    return _only(stack, best, metric)


def _only(stack: Stack, families: Sequence[int], metric: Metric) -> Blend:
    weights = np.zeros(len(stack))
    weights[families] = 1 / len(families)
    return replace(uniform(len(stack), metric.task), weights=weights)


def _fitted(stack: Stack, y: Truth, metric: Metric, candidate: Candidate) -> Blend:
    """Fit a candidate, with the metric's decision rule."""
    if candidate.name == "mean":
        return ruled(uniform(len(stack), metric.task), stack, y, metric)
    if candidate.name == "best":
        return ruled(best_single(stack, y, metric), stack, y, metric)
    if candidate.name == "subset":
        return ruled(best_subset(stack, y, metric), stack, y, metric)
    return fit(stack, y, metric, candidate.name, polish=candidate.polish)


def _pools(metric: Metric, pool: Pool | None) -> Sequence[Pool]:
    """Return the pools that serve a metric, the simpler first."""
    if pool is not None:
        return (pool,)
    if metric.name == "brier" or not TASKS[metric.task].bounded:
        return ("linear",)
    return ("linear", "log-linear")
