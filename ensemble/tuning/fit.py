"""One blend for one metric: which pool, which weights, which decision rule.

The defaults by metric, in short: log-likelihood decides the weights, for it is smooth and uses
every row; the metric decides the rule that turns probabilities into labels. Chasing the metric
itself (`polish`) gains most where nothing is real, so it must prove itself out of fold.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices
from ensemble.evaluation.metrics import METRICS, Metric, Truth
from ensemble.records import TASKS, Task
from ensemble.tuning import decisions
from ensemble.tuning.blocks import Stored, filled
from ensemble.tuning.convex import least_squares_pool, linear_pool
from ensemble.tuning.log_linear import log_linear_pool
from ensemble.tuning.search import bagged_climb, coordinate_ascent
from ensemble.tuning.tempered import tempered_pool
from ensemble.voting.blend import Blend
from ensemble.voting.decision import Decision
from ensemble.voting.pools import (
    expected_level,
    normalised,
    quantiles,
    ranked,
    two_class,
)
from ensemble.voting.weights import Pool

SPREAD: Final = 0.5
"""How far the weight of a family is expected to lie from the mean: the prior of the ridge."""

LEAST: Final = 0.01
"""Families with a smaller share are dropped, and the rest is fitted again."""

_NOTHING: Final = 1e-6
_PRIOR_METRICS: Final = ("balanced_accuracy", "f1_macro")
_SEARCHED: Final = ("accuracy", "f1_micro", "balanced_accuracy", "f1_macro", "qwk", "auc")


def uniform(families: int, task: Task = "classification") -> Blend:
    """Return the blend that everything is compared with: the plain mean."""
    return Blend("linear", np.full(families, 1 / families), task=task)


def can_polish(metric: Metric) -> bool:
    """Return whether a search for the metric itself has a meaning: for classes, or a callable."""
    return TASKS[metric.task].single or metric.name not in METRICS[metric.task]


def has_rule(metric: Metric) -> bool:
    """Tell whether a decision rule can serve a metric; one of one's own may be of any kind."""
    if not TASKS[metric.task].bounded:
        return False
    ruled_ones = (*_PRIOR_METRICS, "qwk") if TASKS[metric.task].single else ("f1",)
    return metric.name in ruled_ones or metric.name not in METRICS[metric.task]


def fit(stack: Stored, y: Truth, metric: Metric, pool: Pool, *, polish: bool = False) -> Blend:
    """Fit a blend for a metric, with the metric's decision rule, on all rows given.

    Args:
        stack: The families, float32 or float64 (M, N, C), sorted by name.
        y: The truth, as the metric takes it.
        metric: What the blend is for.
        pool: The pool.
        polish: Chase the metric itself from there, by exact line searches.
    """
    return finished(weighed(stack, y, metric, pool), stack, y, metric, polish=polish)


def finished(
    blend: Blend, stack: Stored, y: Truth, metric: Metric, *, polish: bool = False
) -> Blend:
    """Return a pool that was weighed with the metric's decision rule, perhaps polished before."""
    if polish:
        blend = _polished(stack, y, metric, blend)
    return ruled(blend, stack, y, metric)


def weighed(stack: Stored, y: Truth, metric: Metric, pool: Pool) -> Blend:
    """Fit the weights of a pool alone; small ones are dropped, and the rest is fitted again."""
    blend = _weighed(stack, y, metric, pool)
    if blend.weights.sum() <= _NOTHING:
        blend = uniform(len(stack), metric.task)  # no family knows anything: its exponents vanish
    small = blend.weights < LEAST * blend.weights.sum()
    if small.any() and not small.all():
        kept = _weighed(stack[~small], y, metric, pool)
        weights = np.zeros(len(stack))
        weights[~small] = kept.weights
        blend = replace(kept, weights=weights)
    return blend


def ridge_of(rows: int) -> float:
    """Return the ridge of the mean log-loss that a normal prior of width `SPREAD` amounts to."""
    return 1 / (2 * rows * SPREAD**2)


def _weighed(stack: Stored, y: Truth, metric: Metric, pool: Pool) -> Blend:
    if TASKS[metric.task].single:
        return _weighed_classes(stack, y.astype(np.int64), metric, pool)
    if TASKS[metric.task].several:
        return _weighed_labels(stack, y.astype(np.int64), pool)
    return _weighed_values(stack, y, metric)


def _weighed_labels(stack: Stored, y: NDArray[np.int64], pool: Pool) -> Blend:
    """Pool by the mean log-loss of the labels: each label of each row is a row of two classes."""
    rows, flat = two_class(np.asarray(stack, np.float64)), y.ravel()
    if pool == "linear":
        found = linear_pool(rows, flat)
    else:
        found = log_linear_pool(rows, flat, ridge_of(len(y)))
    return Blend(pool, found.weights, task="multilabel")


def _weighed_values(stack: Stored, y: Truth, metric: Metric) -> Blend:
    """Pool by least squares, and for the absolute error go on from there, exactly line by line.

    A column counts by its error: the RMSE is a mean of roots, and the root of the mean square s
    changes as s over twice the root. The ridge is that of a normal likelihood.
    """
    stack = np.asarray(stack, np.float64)
    root = np.sqrt(np.mean((stack.mean(0) - y) ** 2, axis=0))
    scale = np.sqrt(np.where(root > 0, root, 1.0))
    ridge = 2 * ridge_of(len(y)) * float(root.sum())
    weights = least_squares_pool(stack / scale, y / scale, ridge).weights
    if metric.name == "mae":
        weights = coordinate_ascent(stack, y, metric, weights)
    return Blend("linear", weights, task="regression")


def _weighed_classes(stack: Stored, y: Indices, metric: Metric, pool: Pool) -> Blend:
    ridge = ridge_of(len(y))
    if pool == "rank":
        return replace(
            uniform(len(stack)), pool=pool, ranks=quantiles(np.asarray(stack, np.float64))
        )
    if metric.name == "brier":
        hot = np.eye(stack.shape[2])[y]
        return Blend("linear", least_squares_pool(stack, hot, ridge).weights)
    if pool == "log-linear":
        return Blend(pool, log_linear_pool(stack, y, ridge).weights)
    if metric.name == "log_loss":
        return Blend(pool, linear_pool(stack, y).weights)
    found = tempered_pool(stack, y, ridge)
    return Blend(pool, found.weights, found.temperature)


def _polished(stack: Stored, y: Truth, metric: Metric, blend: Blend) -> Blend:
    """Search the metric over linear pools, or those of ranks, from the blend's own weights."""
    start = blend.weights if blend.weights.sum() > 0 else np.ones(len(stack))
    exact = TASKS[metric.task].single and metric.name in _SEARCHED
    climb = coordinate_ascent if exact else bagged_climb
    if blend.ranks is not None:
        return replace(
            blend,
            weights=climb(ranked(np.asarray(stack, np.float64), blend.ranks), y, metric, start),
        )
    return Blend("linear", climb(stack, y, metric, start), task=metric.task)


def ruled(blend: Blend, stack: Stored, y: Truth, metric: Metric) -> Blend:
    """Return a blend with the decision rule that serves a metric best on these rows."""
    if not has_rule(metric):
        return blend
    if TASKS[metric.task].several:
        found = decisions.label_thresholds(y.astype(np.int64), filled(stack, blend.probs))
        return replace(blend, decision=Decision(thresholds=tuple(found.tolist())))
    return _ruled_classes(blend, stack, y.astype(np.int64), metric)


def _ruled_classes(blend: Blend, stack: Stored, y: Indices, metric: Metric) -> Blend:
    probs = filled(stack, lambda block: normalised(blend.probs(block)))
    if metric.name == "qwk":
        levels = expected_level(probs)
        cuts = decisions.cut_points(y, levels, stack.shape[2], metric.levels)
        return replace(blend, decision=Decision(cut_points=tuple(cuts.tolist())))
    prior = np.bincount(y, minlength=stack.shape[2]) / len(y)
    if metric.name in _PRIOR_METRICS:
        tau = decisions.prior_exponent(metric.name, y, probs, prior)
    else:
        tau = decisions.tried_exponent(metric, y, probs, prior)
    return replace(blend, decision=Decision(tau, tuple(prior.tolist())))
