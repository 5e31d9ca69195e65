"""Reliability: whether what is told with a confidence is right as often as that says.

Bins hold about as many rows each, and equal confidences together (Nixon and others 2019); the
interval of a bin is Wilson's (1927).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Pooled, Vector
from ensemble.evaluation.bins import equal_mass
from ensemble.evaluation.bootstrap import Interval
from ensemble.evaluation.metrics import Metric, Truth

FEW: Final = 30
"""With fewer rows a bin tells little."""

MOST: Final = 15
"""The most bins."""

_Z: Final = 1.959963984540054
"""The normal quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """So many rows: their mean confidence, the share of them that is right, and its interval."""

    rows: int
    confidence: float
    right: float
    interval: Interval


def wilson(right: int, rows: int) -> Interval:
    """Return Wilson's 95 % interval of a share, which lies within 0 and 1."""
    share, z2 = right / rows, _Z**2 / rows
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def reliability(confidence: Vector, right: Vector) -> tuple[ReliabilityBin, ...]:
    """Return the bins of N rows by their confidence, the least first.

    Args:
        confidence: float64 (N,), 0 to 1: how likely each row is told to be right.
        right: float64 (N,), 0 or 1: whether it is.
    """
    found = []
    for rows, sure, hits in zip(*_sums(confidence, right), strict=True):
        interval = wilson(round(hits), int(rows))
        found.append(ReliabilityBin(int(rows), sure / rows, hits / rows, interval))
    return tuple(found)


def calibration_error(right: Truth, confidence: Pooled) -> float:
    """Return the expected calibration error: the mean over rows of how far their bin is off.

    Args:
        right: 0 or 1 for each row, (N,).
        confidence: float64 (N, 1), as metrics take predictions.
    """
    rows, sure, hits = _sums(confidence[:, 0], np.asarray(right, np.float64))
    return float(np.abs(sure - hits).sum() / rows.sum())


ECE: Final = Metric("ece", calibration_error, False, "classification")
"""The expected calibration error of confidences (N, 1), the truth being 1 where a row is right."""


def _sums(confidence: Vector, right: Vector) -> tuple[Vector, Vector, Vector]:
    """Return of each bin its rows, and the sums of confidence and of what is right, (B,)."""
    bins = equal_mass(confidence, min(MOST, max(1, len(confidence) // FEW)))
    rows = np.bincount(bins).astype(np.float64)
    sure, hits = (np.bincount(bins, each).astype(np.float64) for each in (confidence, right))
    return rows, sure, hits
