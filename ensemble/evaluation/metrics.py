"""Metrics: how good predictions are, as scikit-learn defines them. Arrays in, one number out.

Classification takes labels `y` int64 (N,), 0 to C - 1, and probabilities float64 (N, C) whose
rows sum to 1; a row's prediction is its argmax. Multilabel takes `y` of 0 and 1 (N, C) and
probabilities (N, C), a label being predicted from 0.5 on; regression takes `y` (N, C) and values
(N, C). What a metric needs of `y` (a class that is there, for instance) is checked at the door,
by `check_defined`, not within.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.records import TASKS, VOTED, Task

Truth: TypeAlias = NDArray[np.int64] | NDArray[np.float64]
"""(N,) class indices, or (N, C) of 0 and 1 or of values."""

Score: TypeAlias = Callable[[Truth, Pooled], float]

TOP: Final = 3
"""How many guesses `top_k` allows."""

NEEDS_EVERY_CLASS: Final = ("balanced_accuracy", "f1_macro", "f1", "auc", "map")
"""The metrics that are means over classes, and not defined where no row shows one of them."""

_EPSILON: Final = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name, what it takes, and which way is up.

    `by_label` tells that it sees the predicted labels only, so that a decision rule can serve it.
    `each` gives a value a row, (N,), where the score is their mean. `counted` gives the score of a
    confusion matrix (C, C), rows the truth, where that is all it needs. `levels` are what the
    classes of a kappa are worth, C numbers that ascend; empty where they are equally spaced.
    """

    name: str
    score: Score
    greater: bool
    task: Task
    by_label: bool = False
    each: Callable[[Truth, Pooled], NDArray[np.float64]] | None = None
    counted: Callable[[NDArray[np.float64]], float] | None = None
    levels: tuple[float, ...] = ()

    def gain(self, score: float, reference: float) -> float:
        """Return how much better a score is than another; positive is better."""
        return score - reference if self.greater else reference - score


def confusion(y: Indices, labels: Indices, classes: int) -> NDArray[np.float64]:
    """Return the counts (C, C): rows are the truth, columns the prediction."""
    flat = np.bincount(y * classes + labels, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.float64)


def accuracy(y: Truth, probs: Pooled) -> float:
    """Return the share of right labels."""
    return float(np.mean(_right(y, probs)))


def balanced_accuracy(y: Truth, probs: Pooled) -> float:
    """Return the mean recall of the classes."""
    return mean_recall(_counts(y, probs))


def f1_macro(y: Truth, probs: Pooled) -> float:
    """Return the mean F1 of the classes; a class without a right prediction counts 0."""
    return mean_f1(_counts(y, probs))


def qwk(y: Truth, probs: Pooled) -> float:
    """Return Cohen's kappa with quadratic weights, the classes being equally spaced."""
    return kappa_of(_counts(y, probs))


def top_k(y: Truth, probs: Pooled) -> float:
    """Return the share of rows whose class is among the first `TOP`; ties go to later classes."""
    return float(np.mean(_among_first(y, probs)))


def log_loss(y: Truth, probs: Pooled) -> float:
    """Return the mean negative log probability of the true class, clipped at float64's epsilon."""
    return float(np.mean(_surprise(y, probs)))


def brier(y: Truth, probs: Pooled) -> float:
    """Return the mean squared distance to the one-hot truth, 0 to 2 (Brier 1950)."""
    return float(np.mean(_distance(y, probs)))


def auc(y: Truth, probs: Pooled) -> float:
    """Return the mean over classes of the one-vs-rest area under the ROC curve."""
    return multilabel_auc(np.eye(probs.shape[1])[y.astype(np.int64)], probs)


def multilabel_log_loss(y: Truth, probs: Pooled) -> float:
    """Return the mean over labels and rows of the negative log probability of what is true."""
    return float(np.mean(_surprise_of_labels(y, probs)))


def multilabel_f1(y: Truth, probs: Pooled) -> float:
    """Return the mean over labels of F1 at 0.5; a label without a right prediction counts 0."""
    found = probs >= 0.5
    right = (found & (y == 1)).sum(0)
    total = found.sum(0) + (y == 1).sum(0)
    return float(np.mean(2 * right / np.maximum(total, 1)))


def mean_average_precision(y: Truth, probs: Pooled) -> float:
    """Return the mean over labels of Σ (R_n - R_{n-1}) P_n, thresholds at the scores found."""
    columns = range(probs.shape[1])
    return float(np.mean([_average_precision(y[:, c] == 1, probs[:, c]) for c in columns]))


def multilabel_auc(y: Truth, probs: Pooled) -> float:
    """Return the mean over labels of the area under the ROC curve."""
    return float(np.mean([area(y[:, c] == 1, probs[:, c]) for c in range(probs.shape[1])]))


def rmse(y: Truth, values: Pooled) -> float:
    """Return the mean over columns of the root of the mean squared error."""
    return float(np.mean(np.sqrt(np.mean((values - y) ** 2, axis=0))))


def mae(y: Truth, values: Pooled) -> float:
    """Return the mean absolute error."""
    return float(np.mean(_away(y, values)))


def area(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve: the share of pairs in order, ties by half.

    Mann and Whitney's U over the number of pairs; there must be a positive and a negative.
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]
    many, few = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * few))


def f1_of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each class's F1 from a confusion matrix (C, C)."""
    total = counts.sum(0) + counts.sum(1)
    return np.asarray(2 * np.diag(counts) / np.maximum(total, 1), np.float64)


def mean_f1(counts: NDArray[np.float64]) -> float:
    """Return the mean F1 of the classes from a confusion matrix (C, C)."""
    return float(np.mean(f1_of(counts)))


def mean_recall(counts: NDArray[np.float64]) -> float:
    """Return the mean recall of the classes from a confusion matrix (C, C); NaN if one is empty."""
    return float(np.mean(np.diag(counts) / counts.sum(1)))


def kappa_of(counts: NDArray[np.float64], levels: Sequence[float] | None = None) -> float:
    """Return quadratic weighted kappa from a confusion matrix; 0 where chance explains all.

    Args:
        counts: The counts (C, C).
        levels: What the classes are worth, C numbers; equally spaced where nothing is said. So
            grades of which one is absent keep their distances.
    """
    place = np.arange(len(counts)) if levels is None else np.asarray(levels, np.float64)
    weights = (place[:, None] - place) ** 2.0
    expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    by_chance = float((weights * expected).sum())
    return 1 - float((weights * counts).sum()) / by_chance if by_chance else 0.0


def _right(y: Truth, probs: Pooled) -> NDArray[np.float64]:
    return np.asarray(probs.argmax(1) == y, np.float64)


def _among_first(y: Truth, probs: Pooled) -> NDArray[np.float64]:
    order = np.argsort(probs, axis=1, kind="stable")[:, -TOP:]
    return np.asarray((order == y[:, None]).any(1), np.float64)


def _surprise(y: Truth, probs: Pooled) -> NDArray[np.float64]:
    own = probs[np.arange(len(y)), y.astype(np.int64)]
    return np.asarray(-np.log(np.clip(own, _EPSILON, 1 - _EPSILON)), np.float64)


def _surprise_of_labels(y: Truth, probs: Pooled) -> NDArray[np.float64]:
    true = np.where(y == 1, probs, 1 - probs)
    return np.asarray(-np.log(np.clip(true, _EPSILON, 1 - _EPSILON)).mean(1), np.float64)


def _distance(y: Truth, probs: Pooled) -> NDArray[np.float64]:
    hot = np.eye(probs.shape[1])[y.astype(np.int64)]
    return np.asarray(((probs - hot) ** 2).sum(1), np.float64)


def _away(y: Truth, values: Pooled) -> NDArray[np.float64]:
    return np.asarray(np.abs(values - y).mean(1), np.float64)


_METRICS: Final = (
    Metric("accuracy", accuracy, True, "classification", by_label=True, each=_right),
    Metric(
        "balanced_accuracy",
        balanced_accuracy,
        True,
        "classification",
        by_label=True,
        counted=mean_recall,
    ),
    Metric("f1_macro", f1_macro, True, "classification", by_label=True, counted=mean_f1),
    # F1 over all decisions: with one label a row, the accuracy
    Metric("f1_micro", accuracy, True, "classification", by_label=True, each=_right),
    Metric("log_loss", log_loss, False, "classification", each=_surprise),
    Metric("brier", brier, False, "classification", each=_distance),
    Metric("auc", auc, True, "classification"),
    Metric("qwk", qwk, True, "classification", by_label=True, counted=kappa_of),
    Metric("top_k", top_k, True, "classification", each=_among_first),
    Metric("f1", multilabel_f1, True, "multilabel", by_label=True),
    Metric("map", mean_average_precision, True, "multilabel"),
    Metric("log_loss", multilabel_log_loss, False, "multilabel", each=_surprise_of_labels),
    Metric("auc", multilabel_auc, True, "multilabel"),
    Metric("rmse", rmse, False, "regression"),
    Metric("mae", mae, False, "regression", each=_away),
)
METRICS: Final = {
    task: {metric.name: metric for metric in _METRICS if metric.task == task} for task in VOTED
}
"""Each task's metrics by name."""


def kappa_between(levels: Sequence[float]) -> Metric:
    """Return the quadratic weighted kappa of classes that are worth these numbers, C of them."""

    def counted(counts: NDArray[np.float64]) -> float:
        return kappa_of(counts, levels)

    def score(y: Truth, probs: Pooled) -> float:
        return counted(_counts(y, probs))

    equal = METRICS["classification"]["qwk"]
    return replace(equal, score=score, counted=counted, levels=tuple(levels))


def metric_of(name: str, task: Task) -> Metric:
    """Return a metric by name.

    Raises:
        UsageError: the task has no metric of that name; lists those it has.
    """
    known = METRICS[task]
    if name not in known:
        raise UsageError(f"metric {name!r}: for {task} there are {', '.join(known)}")
    return known[name]


def check_defined(y: Truth, classes: tuple[str, ...], task: Task, metric: str) -> None:
    """Check that the truth has what the metric needs.

    Raises:
        UsageError: a class that no row shows (or, for AUC and average precision, a label that
            every row shows); names it.
    """
    if not TASKS[task].bounded or metric not in NEEDS_EVERY_CLASS:
        return
    if TASKS[task].several:
        shown = np.asarray(y, np.float64).mean(0)
        bad = (shown == 0) | ((shown == 1) & (metric == "auc"))
    else:
        bad = np.bincount(np.asarray(y, np.int64), minlength=len(classes)) == 0
    if bad.any():
        names = [classes[place] for place in np.flatnonzero(bad)]
        raise UsageError(
            f"{metric} is not defined: no row (or every row) is labelled {few(names)}. "
            f"Give rows of every class, or choose another metric"
        )


def _counts(y: Truth, probs: Pooled) -> NDArray[np.float64]:
    return confusion(y.astype(np.int64), probs.argmax(1), probs.shape[1])


def _average_precision(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(positive[order])[ends]
    recall = np.concatenate([[0.0], right / positive.sum()])
    return float(np.sum(np.diff(recall) * (right / (ends + 1))))
