"""How each class fares: precision, recall, F1 and support, and which classes are confused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pooled
from ensemble.evaluation.metrics import Truth


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: precision, recall and F1, from 0 to 1, and `support`, its rows of the truth.

    Precision is 0 for a class that is never predicted, and recall for one that no row shows.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Confused:
    """So many rows of a class that were predicted as another."""

    truth: str
    predicted: str
    rows: int


def scores_of_counts(counts: NDArray[np.float64], classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return each class's scores from a confusion matrix (C, C), the truth in its rows."""
    return _scores(np.diag(counts), counts.sum(0), counts.sum(1), classes)


def scores_of_labels(y: Truth, given: Pooled, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return each label's scores, of 0 and 1 (N, C), and of the labels given, 0 and 1 (N, C)."""
    return _scores(((y == 1) & (given == 1)).sum(0), given.sum(0), (y == 1).sum(0), classes)


def most_confused(counts: NDArray[np.float64], classes: Sequence[str]) -> tuple[Confused, ...]:
    """Return the pairs of classes that are confused, the commonest first."""
    wrong = counts * (1 - np.eye(len(counts)))
    order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    pairs = [divmod(cell, len(counts)) for cell in order.tolist()]
    return tuple(Confused(classes[t], classes[p], int(wrong[t, p])) for t, p in pairs)


def _scores(
    right: NDArray[np.generic],
    predicted: NDArray[np.generic],
    support: NDArray[np.generic],
    classes: Sequence[str],
) -> tuple[ClassScore, ...]:
    hits, said, there = (np.asarray(each, np.float64) for each in (right, predicted, support))
    precision, recall = hits / np.maximum(said, 1), hits / np.maximum(there, 1)
    f1 = 2 * hits / np.maximum(said + there, 1)
    columns = zip(classes, precision.tolist(), recall.tolist(), f1.tolist(), there, strict=True)
    return tuple(ClassScore(name, p, r, f, int(count)) for name, p, r, f, count in columns)
