"""How a soup compares with the vote that it replaces, head by head."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from scipy.special import expit, softmax

from ensemble.arrays import Pooled
from ensemble.evaluation.metrics import Truth, metric_of
from ensemble.members.card import Head
from ensemble.records import TASKS, Task

METRIC: Final = {"classification": "accuracy", "multilabel": "log_loss", "regression": "rmse"}
"""What scores a soup: of each task a metric that any labels define."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a soup, of the vote and of each part, by a metric of the head's task."""

    metric: str
    soup: float
    vote: float
    parts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SoupAgreement:
    """How far a soup is from the mean of its parts, and how far two parts are at most, on images.

    `apart` and `parts_apart` are shares of images whose labels differ; of a regression the root of
    the mean squared difference. `scores` is None where no labels were given.
    """

    head: str
    task: Task
    images: int
    apart: float
    parts_apart: float
    scores: Scores | None = None

    @property
    def source(self) -> dict[str, str | float]:
        """What the card says of it: the agreement or the difference, and the soup's score."""
        labelled = TASKS[self.task].bounded
        told: dict[str, str | float] = {
            f"vote_agreement:{self.head}" if labelled else f"vote_rmse:{self.head}": (
                1 - self.apart if labelled else self.apart
            )
        }
        if self.scores is not None:
            told[f"{self.scores.metric}:{self.head}"] = self.scores.soup
        return told

    @property
    def warnings(self) -> list[str]:
        """Why the soup should not replace the vote; empty where nothing speaks against it."""
        found = []
        mend = "export the checkpoints as members and let them vote"
        if self.apart > self.parts_apart:
            found.append(
                f"{self._differ}: weights of nets that were begun apart do not average; {mend}"
            )
        if self.scores is not None and self._below(self.scores):
            found.append(
                f"{self.head}: the soup scores worse than each of its parts: {self._scored}; {mend}"
            )
        return found

    def __str__(self) -> str:
        return f"{self._differ}; {self._scored}" if self.scores is not None else self._differ

    @property
    def _differ(self) -> str:
        return (
            f"{self.head}: on {self.images} images the soup and its parts' vote differ "
            f"{self._told(self.apart)}, two parts {self._told(self.parts_apart)} at most"
        )

    def _told(self, apart: float) -> str:
        if TASKS[self.task].bounded:
            return f"in {apart:.2%} of labels"
        return f"by {apart:.3g} (root mean square)"

    @property
    def _scored(self) -> str:
        scores = self.scores
        if scores is None:
            return ""
        parts = ", ".join(f"{score:.4f}" for score in scores.parts)
        return (
            f"{scores.metric} {scores.soup:.4f} of the soup, {scores.vote:.4f} of the vote, "
            f"{parts} of its parts"
        )

    def _below(self, scores: Scores) -> bool:
        metric = metric_of(scores.metric, self.task)
        return all(metric.gain(scores.soup, part) < 0 for part in scores.parts)


def activated(head: Head, values: Pooled) -> Pooled:
    """Return the probabilities, or the values, that a head's outputs (N, C) stand for."""
    match head.activation:
        case "softmax":
            return np.asarray(softmax(values, axis=1), np.float64)
        case "sigmoid":
            return np.asarray(expit(values), np.float64)
        case "exp":
            return np.exp(values)
        case "none":
            return values


def compare_soup(
    head: Head, soup: Pooled, parts: Sequence[Pooled], truth: Truth | None = None
) -> SoupAgreement:
    """Compare a soup with the mean of its parts.

    Args:
        head: What the columns mean.
        soup: The soup's outputs before the activation, float64 (N, C).
        parts: Those of two parts or more, each (N, C).
        truth: What is right, of N rows as `metrics` takes it; None where nothing tells.
    """
    own, each = activated(head, soup), [activated(head, part) for part in parts]
    vote = np.mean(each, axis=0)
    scores = None
    if truth is not None:
        metric = metric_of(METRIC[head.task], head.task)
        score = metric.score
        scores = Scores(
            metric.name, score(truth, own), score(truth, vote), tuple(score(truth, p) for p in each)
        )
    parts_apart = max(_apart(head, one, other) for one, other in combinations(each, 2))
    return SoupAgreement(
        head.name, head.task, len(own), _apart(head, own, vote), parts_apart, scores
    )


def _apart(head: Head, one: Pooled, other: Pooled) -> float:
    """Return the share of rows with other labels; of values the root mean square difference."""
    rules = TASKS[head.task]
    if not rules.bounded:
        return float(np.sqrt(np.mean((one - other) ** 2)))
    if rules.several:
        return float(((one >= 0.5) != (other >= 0.5)).any(1).mean())
    return float((one.argmax(1) != other.argmax(1)).mean())
