"""Weights of several tasks: one convex problem over the labels, and what competes with it.

Each family that answers a task is a column over the labels (see `voting.lift`), so the log-linear
pool of all columns is convex, with the temperature built in. It meets the product of the tasks'
means, and the best that there is without pooling: a family of the label, or one family a task.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_ndtr

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.evaluation.metrics import Metric, Truth
from ensemble.label_map import LabelMap
from ensemble.tuning.blocks import Stored, score_of
from ensemble.tuning.candidates import Candidate, Rivals
from ensemble.tuning.convex import own_probs
from ensemble.tuning.fit import LEAST, ridge_of, ruled
from ensemble.tuning.log_linear import log_linear_pool
from ensemble.voting.blend import Blend
from ensemble.voting.lift import JOINT, TaskColumn, class_places, dependence, groups_of, value_probs
from ensemble.voting.pools import clipped_logs

_HALF_A_ROW: Final = 0.5
_SPREADS: Final = (1e-3, 20.0)
"""The least and the largest spread that is looked for, as shares of the values' usual distance to
the nearest cut."""

_LEAST_SCALE: Final = 1e-3
"""That distance is no less than this share of the cuts."""

_FAR: Final = 10.0
"""A cut farther away counts as so many times that distance: one absurd value decides nothing."""

_LEAST_LOG: Final = -745.0


def joint_rivals(columns: Sequence[TaskColumn], label_map: LabelMap, metric: Metric) -> Rivals:
    """Return what competes over lifted columns: the product of means, the best, the lifted pool."""
    groups, places = groups_of(columns, label_map), class_places(label_map)
    count = len(columns)
    plain = Blend("linear", np.full(count, 1 / count), groups=groups, places=places)

    def fits(stack: Stored, y: Truth, ways: Sequence[Candidate]) -> Iterator[Blend]:
        rows = y.astype(np.int64)
        for way in ways:
            if way.name == "mean":
                found = plain
            elif way.name == "best":
                found = best_alone(stack, rows, metric, groups, places)
            else:
                found = lifted_pool(stack, rows, groups, places)
            yield ruled(found, stack, y, metric)

    return Rivals([Candidate("mean"), Candidate("best"), Candidate("log-linear")], plain, fits)


def lifted_pool(stack: Stored, y: Indices, groups: Sequence[int], places: Indices) -> Blend:
    """Fit the log-linear pool of lifted columns, and how much the tasks depend on one another.

    P(y) is proportional to exp(Σ β_j z_j(y) + rho r(y)), with z_j the column's clipped logarithm
    and r what a product of tasks leaves out, see `lift.dependence`; β and rho are 0 or more. Small
    exponents are dropped, and the rest is fitted again.
    """
    logs = None
    if len({group for group in groups if group != JOINT}) > 1:
        logs = dependence(label_shares(y, len(places)), places)
    exponents, rho = _exponents(stack, y, logs)
    small = exponents < LEAST * exponents.sum()
    if small.any() and not small.all():
        kept, rho = _exponents(stack[~small], y, logs)
        exponents = np.zeros(len(stack))
        exponents[~small] = kept
    return _log_linear(exponents, groups, places, logs, rho)


def best_alone(
    stack: Stored, y: Indices, metric: Metric, groups: Sequence[int], places: Indices
) -> Blend:
    """Return the best that needs no pool: a family of the label, or the product of one a task.

    Of each task it is the family that is likeliest right, by the mean logarithm of what it gives
    the true class; between these the metric decides, and of equal ones the first.
    """
    own = clipped_logs(own_probs(stack, y).T).mean(1)
    found = [[j] for j, group in enumerate(groups) if group == JOINT]
    tasks = [[j for j, group in enumerate(groups) if group == t] for t in range(places.shape[1])]
    if all(tasks):
        found.append([max(task, key=lambda j: own[j]) for task in tasks])
    blends = [
        _log_linear(np.isin(np.arange(len(groups)), each).astype(float), groups, places)
        for each in found
    ]
    gains = [metric.gain(score_of(metric, y, stack, each.probs), 0.0) for each in blends]
    return blends[int(np.argmax(gains))]


def label_shares(y: Indices, labels: int) -> Vector:
    """Return the share of each label among rows, (K,), half a row being added to each."""
    counts = np.bincount(y, minlength=labels) + _HALF_A_ROW
    return np.asarray(counts / counts.sum(), np.float64)


def spread_of(values: Vector, y: Indices, cuts: Sequence[float]) -> float:
    """Return the spread under which the classes are likeliest, by maximum likelihood in log s.

    Args:
        values: Out-of-fold values (N,).
        y: The class of each, int64 (N,).
        cuts: What parts the classes.
    """
    ends = np.array([-np.inf, *cuts, np.inf])
    low, high = ends[y] - values, ends[y + 1] - values
    mirrored = low > 0
    low, high = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    away = np.abs(values[:, None] - np.array(cuts)).min(1)
    # of the distances to the cuts, not of the values: one absurd value would move these
    scale = max(float(np.median(away)), _LEAST_SCALE * float(np.abs(cuts).max(initial=1.0)))
    inside = np.minimum(np.maximum(low, -_FAR * scale), _FAR * scale)
    outside = np.minimum(np.maximum(high, -_FAR * scale), _FAR * scale)
    low = np.where(np.isfinite(low), inside, low)
    high = np.where(np.isfinite(high), outside, high)

    def loss(log_spread: float) -> float:
        below, above = log_ndtr(low / np.exp(log_spread)), log_ndtr(high / np.exp(log_spread))
        with np.errstate(divide="ignore"):
            inside = above + np.log1p(-np.exp(below - above))
        return -float(np.mean(np.maximum(inside, _LEAST_LOG)))

    bounds = [np.log(scale * share) for share in _SPREADS]
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def with_spreads(
    columns: Sequence[TaskColumn], label_map: LabelMap, y: Indices, folds: Indices | None
) -> tuple[list[TaskColumn], dict[str, float]]:
    """Return columns whose values are cut by their fitted spread, and the spreads by name.

    A row's classes come of the spread that the rows of the other folds tell, so that no row's own
    label is in them; the spreads are those of all rows. A task that declares its spread keeps it.
    """
    found, spreads = [], {}
    for column in columns:
        task = label_map.task(column.task or "")
        if column.values is None or task is None:
            found.append(column)
            continue
        classes = class_places(label_map)[y, label_map.names.index(task.name)]
        if task.spread is not None:
            spreads[column.name] = task.spread
            found.append(column)
            continue
        spreads[column.name] = spread_of(column.values, classes, task.cuts)
        own = np.full(len(y), spreads[column.name])
        for fold in np.unique(folds) if folds is not None else ():
            rest = folds != fold
            own[~rest] = spread_of(column.values[rest], classes[rest], task.cuts)
        probs = value_probs(column.values, task.cuts, own)
        found.append(TaskColumn(column.name, column.family, column.task, probs, column.values))
    return found, spreads


def own_scores(
    columns: Sequence[TaskColumn], label_map: LabelMap, y: Indices, metric: Metric
) -> dict[str, float]:
    """Return the score of each column on what it answers, by name."""
    truth = truths(label_map, y)
    return {each.name: metric.score(truth[each.task], each.probs) for each in columns}


def truths(label_map: LabelMap, y: Indices) -> Mapping[str | None, Indices]:
    """Return the class of each row for each task, int64 (N,), and under None the label."""
    places = class_places(label_map)[y]
    return {None: y, **{name: places[:, t] for t, name in enumerate(label_map.names)}}


def without(family: str, columns: Sequence[TaskColumn]) -> Indices:
    """Return which columns are left without a family, int64."""
    return np.array([j for j, each in enumerate(columns) if each.family != family], np.int64)


def answerable(columns: Sequence[TaskColumn], label_map: LabelMap) -> bool:
    """Tell whether columns answer every task, or the label."""
    there = {each.task for each in columns}
    return None in there or set(label_map.names) <= there


def named_alone(blend: Blend, columns: Sequence[TaskColumn]) -> str:
    """Name the columns of a blend of `best_alone`."""
    return " + ".join(compress((each.name for each in columns), blend.weights > 0))


def _exponents(stack: Stored, y: Indices, logs: Vector | None) -> tuple[Vector, float]:
    found = log_linear_pool(stack, y, ridge_of(len(y)), logs).weights
    return found[: len(stack)], float(found[len(stack)]) if logs is not None else 0.0


def _log_linear(
    exponents: Vector,
    groups: Sequence[int],
    places: Indices,
    logs: Vector | None = None,
    rho: float = 0.0,
) -> Blend:
    return Blend(
        "log-linear", exponents, groups=tuple(groups), places=places, dependence=logs, rho=rho
    )


def marginal_scores(
    probs: Mapping[str, Pooled], truth: Mapping[str | None, Indices], metric: Metric
) -> dict[str, float]:
    """Return the score of each task, by what the label's probabilities say of it."""
    return {name: metric.score(truth[name], each) for name, each in probs.items()}
