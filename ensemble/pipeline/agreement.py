"""How the labels of two members compare, on some images and on others like them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from ensemble.arrays import Pooled
from ensemble.members.card import Head
from ensemble.runtime.agreement import changed_labels

_SURE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the labels and probabilities of a head compare over the `images` that judge.

    `accuracies` are of the float32 and of the int8 member; None where no labels were given.
    """

    head: str
    images: int
    changed: int
    largest: float
    mean: float
    accuracies: tuple[float, float] | None = None

    @property
    def disagreement(self) -> float:
        """The share of images whose label changed."""
        return self.changed / self.images

    @property
    def most(self) -> float:
        """The share of other images like these whose label changes at most, 95 % sure.

        The upper limit of Clopper & Pearson (1934).
        """
        left = self.images - self.changed
        return float(betaincinv(self.changed + 1, left, _SURE)) if left else 1.0

    def __str__(self) -> str:
        text = (
            f"{self.head}: {self.changed} of {self.images} labels change "
            f"({self.disagreement:.2%}; of others like them at most {self.most:.2%}, 95 % sure); "
            f"probabilities differ by {self.largest:.3g} at most, "
            f"{self.mean:.2g} on average"
        )
        if self.accuracies is None:
            return text
        before, after = self.accuracies
        return f"{text}; accuracy {before:.2%} in float32, {after:.2%} in int8"


def compare(
    head: Head, before: Pooled, after: Pooled, truth: NDArray[np.int64] | None
) -> Comparison:
    """Compare float64 probabilities (N, C) of two members.

    Args:
        head: What the columns mean.
        before: Of the float32 member.
        after: Of the int8 member.
        truth: The class of each row, int64 (N,), or None.
    """
    differences = np.abs(before - after)
    changed = int(changed_labels(head, before, after).sum())
    accuracies = None
    if truth is not None:
        accuracies = (
            float((before.argmax(1) == truth).mean()),
            float((after.argmax(1) == truth).mean()),
        )
    largest, mean = float(differences.max()), float(differences.mean())
    return Comparison(head.name, len(before), changed, largest, mean, accuracies)
