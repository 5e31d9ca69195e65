"""The seam between the engine and whatever computes, and what tests put there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pixels, Probs
from ensemble.errors import GpuGoneError, OutOfMemoryError, ScoreError


class Scorer(Protocol):
    """Scores images: the one seam between the engine and whatever computes."""

    @property
    def provider(self) -> str:
        """The provider that really runs, such as "CPUExecutionProvider"."""

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return each output, float32 (N, C), of uint8 images (N, H, W, C)."""


class Session(Scorer, Protocol):
    """A scorer over a composed graph, as a member that has started holds one."""

    @property
    def lanes(self) -> int:
        """How many batches may be scored at once, each by a thread of the caller."""

    @property
    def why_cpu(self) -> str:
        """Why the device "auto" took the CPU, where it did."""

    def outputs(self, images: Pixels, names: Mapping[str, str]) -> Mapping[str, Probs]:
        """Return other outputs of the graph, by the names that the caller gives them."""


@dataclass(frozen=True, slots=True)
class FakeScorer:
    """A scorer without a model: the mean colour of each image, turned into probabilities.

    Its answers depend on every pixel of an image and on nothing else, so that tests of batching,
    resume and fusion can tell a swapped image from the right one.
    """

    columns: Mapping[str, int]
    provider: str = "FakeExecutionProvider"
    calls: list[int] = field(default_factory=list)

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return for each output, float32 (N, C), rows that sum to 1."""
        self.calls.append(len(images))
        weights = 1 + np.arange(images[0].size, dtype=np.float64)
        level = (images.reshape(len(images), -1) @ weights) / (255 * weights.sum())
        return {name: _spread(level, columns) for name, columns in self.columns.items()}


def score_as(member: str, scorer: Scorer, images: Pixels) -> Mapping[str, Probs]:
    """Return each output, float32 (N, C), of uint8 images (N, H, W, C) that a member scores.

    Raises:
        OutOfMemoryError: memory ran out; names the member and the batch.
        ScoreError: the member failed; names both too.
    """
    what = f"member {member}, batch of {len(images)}"
    try:
        return scorer.score(images)
    except OutOfMemoryError as error:
        message = f"{what}: {error}. Use fewer views, or another --device"
        raise OutOfMemoryError(message) from error
    except ScoreError as error:
        kind = GpuGoneError if isinstance(error, GpuGoneError) else ScoreError
        raise kind(f"{what}: {error}") from error


def _spread(level: NDArray[np.float64], columns: int) -> Probs:
    logits = np.cos(np.outer(level * 40, 1 + np.arange(columns)))
    powers = np.exp(logits)
    return cast(Probs, (powers / powers.sum(1, keepdims=True)).astype(np.float32))
