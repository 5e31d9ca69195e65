"""The metrics that predictions allow, each scored with an interval."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.evaluation.bootstrap import Interval, spread
from ensemble.evaluation.metrics import (
    METRICS,
    NEEDS_EVERY_CLASS,
    TOP,
    Metric,
    Truth,
    kappa_between,
)
from ensemble.records import TASKS, Task
from ensemble.voting.decision import order_of


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric's score, and its 95 % interval by a bootstrap of the rows; see `bootstrap`.

    The interval is None where a class has too few rows for one.
    """

    metric: str
    score: float
    interval: Interval | None


def score_by(metric: Metric, y: Truth, probs: Pooled, groups: Indices | None) -> MetricScore:
    """Score predictions (N, C) by a metric; see `spread`, also for what `y` and `groups` are."""
    found = spread(metric, y, [probs], groups)
    return MetricScore(metric.name, found.value, found.interval and _within(metric, found.interval))


def metrics_of_classes(
    y: Indices, classes: Sequence[str], said: Sequence[str], *, labels_only: bool
) -> list[Metric]:
    """Return the metrics of classification but what the rows leave undefined.

    The classes of a kappa are worth their numbers; or equally spaced, where their order is said.

    Args:
        y: The true classes, int64 (N,), 0 to C - 1.
        classes: The C names.
        said: The names in the order that a person says they have; empty where nobody does.
        labels_only: Whether labels were predicted, which have no probabilities.
    """
    metrics = dict(METRICS["classification"])
    if order_of(classes):
        metrics["qwk"] = kappa_between([int(name) for name in classes])
    return _among(metrics.values(), _undefined(y, classes, said), labels_only=labels_only)


def metrics_of_values(task: Task, y: Truth, *, labels_only: bool) -> list[Metric]:
    """Return the metrics of a multilabel task or a regression but what the rows leave undefined.

    An area needs rows with and without each label; the F1 of a label that all rows have is one.

    Args:
        task: The task.
        y: The truth (N, C): 0 and 1, or values.
        labels_only: Whether 0 and 1 were predicted, which have no probabilities.
    """
    metrics = METRICS[task].values()
    mixed = not TASKS[task].bounded or bool(((y == 0).any(0) & (y == 1).any(0)).all())
    areas = {metric.name for metric in metrics if not metric.by_label} & {*NEEDS_EVERY_CLASS}
    return _among(metrics, set() if mixed else areas, labels_only=labels_only)


def _among(
    metrics: Iterable[Metric], undefined: Collection[str], *, labels_only: bool
) -> list[Metric]:
    allowed = [metric for metric in metrics if metric.name not in undefined]
    return [metric for metric in allowed if metric.by_label] if labels_only else allowed


def _undefined(y: Indices, classes: Sequence[str], said: Sequence[str]) -> set[str]:
    """Name the means over classes where one has no row, a kappa of names, and what takes all."""
    undefined = set[str]()
    several = len(classes) > 1
    if not several or not np.bincount(y, minlength=len(classes)).all():
        undefined.update(NEEDS_EVERY_CLASS)
    if not several or not (order_of(classes) or said):
        undefined.add("qwk")
    if len(classes) <= TOP:
        undefined.add("top_k")
    return undefined


def _within(metric: Metric, interval: Interval) -> Interval:
    """Cut an interval at the ends of a metric's scale, over which its bias may have carried it."""
    lowest, highest = -1.0 if metric.name == "qwk" else 0.0, 1.0 if metric.greater else np.inf
    return max(interval[0], lowest), min(interval[1], highest)
