"""Several tasks, one label: what each family says of a task, lifted onto the labels, and pooled.

A family that answers a task says of each label what it says of that task's class in it. So the
families of all tasks stand in one stack (J, N, K) of K labels, where the product of the tasks is
the log-linear pool with all exponents 1, and where weights are one convex problem.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.label_map import LABEL, LabelMap
from ensemble.records import Ordinal
from ensemble.voting import pools
from ensemble.voting.pools import Stack

JOINT = -1
"""The group of the columns that say the label itself; those of a task have the task's number."""

_erfc = np.frompyfunc(math.erfc, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class TaskColumn:
    """What a family says of one task, float64 (N, C) over its classes; or of the label, (N, K).

    `task` is None for the label. `name` tells columns apart: the family's, and the task's too where
    the family answers several. `values` (N,) are those that were cut into the classes; None where
    the family gave classes.
    """

    name: str
    family: str
    task: str | None
    probs: Pooled
    values: Vector | None = None


def column_names(answered: Sequence[tuple[str, str | None]]) -> list[str]:
    """Return what to call the columns of families and what they answer, None being the label."""
    several = Counter(family for family, _ in answered)
    return [
        f"{family}/{task or LABEL}" if several[family] > 1 else family for family, task in answered
    ]


def summed(probs: Pooled, columns: Sequence[Sequence[int]]) -> Pooled:
    """Return the sums of groups of columns, float64 (N, C), each in the order of its group."""
    return np.stack([np.add.reduce(probs[:, list(each)], axis=1) for each in columns], axis=1)


def value_probs(values: Vector, cuts: Sequence[float], spread: Vector | float | None) -> Pooled:
    """Return how likely each class of a value is, float64 (N, C), the value being off by a normal.

    P(k) = Φ((t_k - μ) / s) - Φ((t_k-1 - μ) / s), where class k holds t_k-1 <= value < t_k. Without
    a spread the value is cut hard: 1 for its class. In the upper half Φ is that of the mirrored
    value, so that small probabilities keep their digits.

    Args:
        values: The values μ (N,), in the unit of the cuts.
        cuts: C - 1 numbers that ascend.
        spread: The standard deviation s, above 0: one for all, or one a row (N,).
    """
    if spread is None:
        return np.eye(len(cuts) + 1)[pools.cut(values, np.array(cuts))]
    ends = np.array([-np.inf, *cuts, np.inf])
    away = (ends - values[:, None]) / np.reshape(spread, (-1, 1))
    low, high = away[:, :-1], away[:, 1:]
    mirrored = low > 0
    low, high = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    return np.asarray(_normal(high) - _normal(low), np.float64)


def class_places(label_map: LabelMap) -> Indices:
    """Return the class of each task in each label, int64 (K, T), among the task's classes."""
    return np.array(label_map.places, np.int64)


def threshold_probs(thresholds: Pooled, ordinal: Ordinal) -> Pooled:
    """Return the probabilities of C ordered classes by their C - 1 thresholds, float64 (N, C).

    Conditional thresholds (CORN, arXiv 2111.08851) are multiplied up to P(class k or higher), which
    cumulative ones (CORAL, arXiv 1901.07884) are; a class is what lies between two of them. Where
    cumulative ones rise, a class has less than nothing.
    """
    reached = np.cumprod(thresholds, axis=1) if ordinal == "conditional" else thresholds
    ends = np.pad(reached, ((0, 0), (1, 1)), constant_values=((0, 0), (1, 0)))
    return np.asarray(ends[:, :-1] - ends[:, 1:], np.float64)


def lifted(columns: Sequence[TaskColumn], label_map: LabelMap) -> Stack:
    """Return columns over the labels, float64 (J, N, K): each label has that of its task's class.

    Rows sum to 1 only of the columns that say the label itself.
    """
    places, names = class_places(label_map), label_map.names
    return np.stack(
        [
            each.probs if each.task is None else each.probs[:, places[:, names.index(each.task)]]
            for each in columns
        ]
    )


def groups_of(columns: Sequence[TaskColumn], label_map: LabelMap) -> tuple[int, ...]:
    """Return the number of each column's task, in the order of the map; `JOINT` for the label."""
    names = label_map.names
    return tuple(JOINT if each.task is None else names.index(each.task) for each in columns)


def product_of_tasks(stack: Stack, groups: Sequence[int], places: Indices) -> Pooled:
    """Fuse lifted columns (J, N, K) without weights, float64 (N, K), rows summing to 1.

    For each task the mean of its columns; their product over the labels, normalised, which clips
    logarithms as a log-linear pool does. Columns that say the label itself stand beside that
    product, each as it does, in a plain mean; a task that no column answers is answered by what
    these say of it.
    """
    whole = [stack[j] for j, group in enumerate(groups) if group == JOINT]
    tasks = places.shape[1]
    answered = [[j for j, group in enumerate(groups) if group == t] for t in range(tasks)]
    if not any(answered):
        return np.asarray(np.mean(whole, axis=0))
    means = [
        stack[own].mean(0) if own else _of_task(np.mean(whole, axis=0), places[:, t])
        for t, own in enumerate(answered)
    ]
    product = pools.log_linear(np.stack(means), np.ones(tasks))
    return np.asarray(np.mean([*whole, product], axis=0))


def marginals(probs: Pooled, label_map: LabelMap) -> Mapping[str, Pooled]:
    """Return what probabilities of the labels (N, K) say of each task, float64 (N, C)."""
    places = class_places(label_map)
    found = {}
    for t, task in enumerate(label_map.tasks):
        found[task.name] = np.stack(
            [probs[:, places[:, t] == place].sum(1) for place in range(len(task.classes))], axis=1
        )
    return found


def dependence(shares: Vector, places: Indices) -> Vector:
    """Return how much likelier each label is than its classes alone would have it, (K,), in logs.

    log π_y - Σ_t log π_t,c_t(y), with the shares π of the labels (K,) and those of each task's
    classes, which they add up to: what a product of tasks leaves out.
    """
    logs = np.log(shares)
    for t in range(places.shape[1]):
        of_class = np.bincount(places[:, t], shares)
        logs = logs - np.log(of_class[places[:, t]])
    return np.asarray(logs, np.float64)


def _of_task(whole: Pooled, place: Indices) -> Pooled:
    """Return what probabilities of the labels say of a task, lifted again, (N, K)."""
    sums = np.stack([whole[:, place == each].sum(1) for each in range(place.max() + 1)], axis=1)
    return np.asarray(sums[:, place], np.float64)


def _normal(away: Pooled) -> Pooled:
    """Return Φ, the normal distribution."""
    return np.asarray(_erfc(-away / math.sqrt(2)), np.float64) / 2
