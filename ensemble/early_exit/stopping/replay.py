"""Checking a run from what it stored: was each exit allowed, and is each label the right one?"""

from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Indices
from ensemble.early_exit.stopping.accumulators import Ledger
from ensemble.early_exit.stopping.trajectory import Ends
from ensemble.errors import UsageError


@dataclass(frozen=True, slots=True)
class Replay:
    """The rows at fault, int64 each, all empty where a run is right.

    `early` ended before the rule allowed it, `labels` have other labels than their sums say, and
    the sums of `sums` are not those of so many evaluations.
    """

    early: Indices
    labels: Indices
    sums: Indices


def replay(
    ledger: Ledger, ends: Ends, threshold: float = np.inf, tolerance: float | None = 2e-3
) -> Replay:
    """Apply the rule again to the stored sums.

    Whether an image could have ended earlier does not show in its last sums.

    Args:
        ledger: As the run had it.
        ends: What the run stored.
        threshold: λ of the run; infinite for the lossless rule.
        tolerance: How far a row's scores of one evaluation may be from a sum of 1; None where
            they do not sum to 1 (multilabel).

    Raises:
        UsageError: a number of evaluations that is not 1 to K.
    """
    stages = len(ledger.weights)
    if (
        len(ends.evaluations)
        and not 1 <= ends.evaluations.min() <= ends.evaluations.max() <= stages
    ):
        raise UsageError(f"evaluations of an image are 1 to {stages}; found others")
    early, labels, sums = (np.zeros(len(ends.evaluations), bool) for _ in range(3))
    for done in np.unique(ends.evaluations).tolist():
        rows = np.flatnonzero(ends.evaluations == done)
        outlook = ledger.outlook(ends.sums[:, rows], done)
        early[rows] = ~(outlook.z >= threshold)
        labels[rows] = (outlook.labels != ends.labels[rows]).any(1)
        if tolerance is not None:
            weight = ledger.weights[:done].sum()
            sums[rows] = abs(ends.sums[:, rows].sum((0, 2)) - weight) > tolerance * weight
    return Replay(np.flatnonzero(early), np.flatnonzero(labels), np.flatnonzero(sums))
