"""The certified exit: how early images may end, proven without labels.

Fixed-sequence Learn-then-Test (arXiv 2110.01052). Thresholds λ are tried from careful to bold, on
n_cal random images of the N to be predicted, which get every evaluation. x counts those that some
λ tried so far would label otherwise than the full ensemble; with B = ⌊εN⌋,
p = P(X ≤ x) for X hypergeometric: n_cal drawn from N, of which B + 1 + x are marked.
The last λ with p ≤ δ, before any above, is taken.

Why that holds: mark images in the order in which bolder thresholds come to differ on them. More
than B differ outside the calibration only if, among the first B + 1 + c marked, at most c were
drawn, c being the largest x that passes. That has the probability p(c) ≤ δ. It needs a grid and
an order that do not come from the calibration, and nothing of the statistic.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices
from ensemble.early_exit.stopping.trajectory import Trajectory
from ensemble.errors import UsageError

GRID: Final[tuple[float, ...]] = (*(20 * 0.91**step for step in range(64)), 0.0)
"""The thresholds, from careful to bold: steps of 9 %, then every image after one evaluation."""

_LARGEST_SHARE: Final = 4
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Certificate:
    """How early images may end, and what is certain about it.

    Of `images` (N), `calibrated` (n_cal) got every evaluation. `threshold` is λ, or None where no
    λ passed: then only the lossless rule ends images early. `disagreements` were seen among the
    calibrated at λ (counted over all λ up to it), and `p_value` goes with them. `epsilon` is the
    share of labels that may differ from the full ensemble's, with probability `confidence`.
    """

    images: int
    calibrated: int
    threshold: float | None
    disagreements: int
    epsilon: float
    confidence: float
    p_value: float

    @property
    def bound(self) -> float:
        """The λ to run with: infinite for the lossless rule alone."""
        return math.inf if self.threshold is None else self.threshold

    def __str__(self) -> str:
        calibration = f"{self.calibrated} of {self.images} images"
        if self.threshold is None:
            return (
                f"no early exit within {100 * self.epsilon:.3g} % of the labels could be certified "
                f"on {calibration}"
            )
        most = allowed(self.epsilon, self.images)
        return (
            f"at most {most} of {self.images} labels differ from the full ensemble's, with "
            f"{100 * self.confidence:.4g} % confidence: {self.disagreements} did of {calibration}, "
            f"drawn at random (threshold {self.threshold:.3g}, p {self.p_value:.3g})"
        )


def allowed(epsilon: float, images: int) -> int:
    """Return B = ⌊εN⌋, how many labels may differ."""
    return math.floor(epsilon * images + _ROUNDING)


def p_value(disagreements: int, images: int, calibrated: int, epsilon: float) -> float:
    """Return P(X ≤ x): so few drawn, were B + 1 + x of N marked and n_cal drawn."""
    marked = min(allowed(epsilon, images) + 1 + disagreements, images)
    return hypergeometric(disagreements, images, marked, calibrated)


def hypergeometric(most: int, images: int, marked: int, drawn: int) -> float:
    """Return P(X ≤ most): of `drawn` from `images`, without replacement, X are `marked`."""
    least = max(0, drawn - (images - marked))
    total = _log_choose(images, drawn)
    logs = [
        _log_choose(marked, x) + _log_choose(images - marked, drawn - x) - total
        for x in range(least, min(most, marked, drawn) + 1)
    ]
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def calibration_size(images: int, epsilon: float, confidence: float) -> int:
    """Return the least n_cal that certifies with no disagreement; 0 where it exceeds N/4.

    More would allow a disagreement, and cost the full ensemble on all of them.

    Raises:
        UsageError: epsilon or confidence does not lie between 0 and 1.
    """
    least = least_size(images, epsilon, confidence)
    return least if least <= images // _LARGEST_SHARE else 0


def least_size(images: int, epsilon: float, confidence: float) -> int:
    """Return the least n_cal that certifies with no disagreement, of all images if need be.

    Raises:
        UsageError: epsilon or confidence does not lie between 0 and 1.
    """
    check_levels(epsilon, confidence)
    low, high = 1, images
    while low < high:
        middle = (low + high) // 2
        if p_value(0, images, middle, epsilon) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


def check_levels(epsilon: float, confidence: float) -> None:
    """Check the share of labels that may differ, and the confidence.

    Raises:
        UsageError: one does not lie strictly between 0 and 1.
    """
    for name, value in (("the share of labels that may differ", epsilon),
                        ("the confidence", confidence)):  # fmt: skip
        if not 0 < value < 1:
            raise UsageError(f"{name} lies between 0 and 1; found {value}")


def draw_sample(fingerprint: str, images: int, calibrated: int) -> Indices:
    """Return n_cal random rows of N in order, int64 (n_cal,): the same for the same fingerprint.

    The stream of PCG64 is the same in every version of NumPy.
    """
    seed = int.from_bytes(hashlib.sha256(fingerprint.encode()).digest(), "big")
    keys = np.random.PCG64(seed).random_raw(images)
    return np.asarray(np.sort(np.argsort(keys, kind="stable")[:calibrated]), np.int64)


def disagreements(trajectory: Trajectory, grid: Sequence[float] = GRID) -> Indices:
    """Count for each λ of a grid the images on which it, or one before it, differs, int64 (G,)."""
    differ = np.array([trajectory.disagree(threshold) for threshold in grid])
    return np.asarray(np.logical_or.accumulate(differ).sum(1), np.int64)


def certify(
    trajectory: Trajectory,
    images: int,
    epsilon: float,
    confidence: float,
    *,
    grid: Sequence[float] = GRID,
    drawn: int | None = None,
) -> Certificate:
    """Find the boldest threshold that is certain enough.

    Args:
        trajectory: The calibrated images, drawn at random from all `images`.
        images: How many images are predicted in all, the calibrated ones among them: N.
        epsilon: The share of the N labels that may differ from the full ensemble's.
        confidence: 1 - δ.
        grid: Thresholds from careful to bold, fixed beforehand.
        drawn: How many were drawn; None for those in `course`. One that has no label, since it
            cannot be decoded, is drawn as well, and differs in none.

    Raises:
        UsageError: epsilon or confidence does not lie between 0 and 1.
    """
    check_levels(epsilon, confidence)
    calibrated = trajectory.z.shape[1] if drawn is None else drawn
    chosen, seen = None, 0
    for threshold, count in zip(grid, disagreements(trajectory, grid).tolist(), strict=True):
        if p_value(count, images, calibrated, epsilon) > 1 - confidence:
            break
        chosen, seen = threshold, count
    p = p_value(seen, images, calibrated, epsilon)
    return Certificate(images, calibrated, chosen, seen, epsilon, confidence, p)


def _log_choose(n: int, k: int) -> float:
    if not 0 <= k <= n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
