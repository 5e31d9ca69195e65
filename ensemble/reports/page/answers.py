"""What a page shows of one question: a head, the label of a label map, or one of its tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.records import TASKS, Task
from ensemble.reports.scorecard import Compared, Scorecard


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is predicted of N images, and what it scores where the truth is known.

    `probs` is float64 (N, C): probabilities or values, and (N, 0) where there are labels alone.
    `labels` are the class of each row, where there is one label a row. `families` have theirs,
    (N, C) each. `card` is the score of what is handed in; `probs_card` that of `probs`, whose rows
    are all that pictures of certainty go by.
    """

    name: str
    task: Task
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    probs: Pooled
    labels: tuple[str, ...] = ()
    families: Mapping[str, Pooled] = field(default_factory=dict)
    card: Scorecard | None = None
    probs_card: Scorecard | None = None
    joint: bool = False

    @property
    def sure(self) -> Compared | None:
        """Probabilities with their truth; None where either is not known."""
        for card in (self.probs_card, self.card):
            if card is not None and card.compared is not None and not card.compared.labels_only:
                return card.compared
        return None


def confidence_of(probs: Pooled) -> Vector:
    """Return the largest probability of each row, (N,)."""
    return np.asarray(probs.max(1), np.float64)


def label_doubt(probs: Pooled) -> Vector:
    """Return how near the most doubtful label of each row is to 0.5, (N,): 0.5 is on it."""
    return np.asarray(0.5 - np.abs(probs - 0.5).min(1), np.float64)


def dispute_of(families: Mapping[str, Pooled], task: Task) -> Vector:
    """Return how far families disagree about each row, (N,).

    Of probabilities it is the Jensen-Shannon divergence of the families in bits (Lin 1991), the
    mean over labels where each is given on its own; of values the standard deviation, the mean over
    targets.

    Args:
        families: Float64 (N, C) each, at least one.
        task: What they are.
    """
    stack = np.array([np.asarray(each, np.float64) for each in families.values()])
    rules = TASKS[task]
    if not rules.bounded:
        return np.asarray(stack.std(0).mean(1), np.float64)
    apart = _divergence(stack)
    apart = (apart + _divergence(1 - stack)).mean(1) if rules.several else apart.sum(1)
    return np.asarray(np.maximum(apart, 0.0), np.float64)


def first_rows(measure: Vector, count: int) -> Indices:
    """Return the rows of the largest numbers, (count,), of equal ones the first."""
    return np.asarray(np.argsort(-measure, kind="stable")[:count], np.int64)


def _divergence(stack: NDArray[np.float64]) -> Pooled:
    """Return what each number (N, C) adds to the divergence of M families, (M, N, C)."""
    return np.asarray(_entropy(stack.mean(0)) - _entropy(stack).mean(0), np.float64)


def _entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -p log2 p of each number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(probs > 0, -probs * np.log2(probs), 0.0), np.float64)
