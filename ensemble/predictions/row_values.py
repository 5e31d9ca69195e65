"""The numbers of predictions: what is no probability, was rounded, or was never predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.records import TASKS, Task

ROW_SUM: Final = 2e-3
"""How far a row of probabilities may be from 1: float16 files come that close."""

_ROUNDING: Final = 1e-6

_DIGITS: Final = range(2, 7)
"""Digits that a file of probabilities may have been rounded to."""

_SOME: Final = 1000
"""So many rows are looked at first: mostly they tell of all."""

_PERCENT: Final = 100.0

_FEW: Final = 0.5
"""Where a smaller share of the rows is off, it is these rows that are odd, and not the file."""

_COARSEST: Final = 0.1
"""How far from 1 a row may be by rounding, before too much is lost."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Whose numbers they are: the file and family in messages, ids, classes, folds and task."""

    where: str
    ids: Sequence[str]
    classes: Sequence[str]
    folds: Indices | None
    task: Task


def sum_to_one(probs: Pooled) -> bool:
    """Tell whether rows (N, C) are probabilities of one class of several, rounded or not."""
    return not _off(probs).any()


def checked_values(rows: Rows, probs: Pooled) -> tuple[Pooled, int, list[str]]:
    """Return predictions (N, C), how many rows were divided by their sum, and what is odd.

    Raises:
        UsageError: values that are not finite, that are no probabilities where the task has such,
            or rows that were never predicted.
    """
    _check_finite(rows, probs)
    notes = check_predicted(rows, probs)
    if TASKS[rows.task].several:
        _check_labels(rows, probs)
    if not TASKS[rows.task].single:
        return probs, 0, notes
    off = _off(probs)
    if off.any():
        raise UsageError(_why_off(rows, probs, off))
    sums = probs.sum(1)
    return probs / sums[:, None], int((np.abs(sums - 1) > _ROUNDING).sum()), notes


def plainly_rescaled(task: Task, probs: Pooled) -> int | None:
    """Return how many rows of predictions (N, C) are to be divided by their sum.

    None where something is to be looked at again, with all other rows: by `checked_values`, which
    finds nothing where this finds nothing.
    """
    whole = np.isfinite(probs).all() and not (probs == 0).all(1).any()
    if not whole or (TASKS[task].bounded and ((probs < 0) | (probs > 1 + ROW_SUM)).any()):
        return None
    if TASKS[task].several and (probs > 1).any():
        return None
    if not TASKS[task].single:
        return 0
    away = np.abs(probs.sum(1) - 1)
    return None if (away > ROW_SUM).any() else int((away > _ROUNDING).sum())


def check_predicted(rows: Rows, probs: Pooled) -> list[str]:
    """Refuse zeros that stand where nothing was predicted; return a note where they may.

    An array that is made with zeros and filled fold by fold has them in the folds that were left
    out. Of classes no row is all zeros; of labels and values a whole fold is not.

    Raises:
        UsageError: names the folds, or the rows.
    """
    empty = np.asarray((probs == 0).all(1), bool)
    if not empty.any():
        return []
    shown = f"{rows.where} is zero in every column for {int(empty.sum())} rows, such as " + few(
        [rows.ids[row] for row in np.flatnonzero(empty).tolist()[:2]]
    )
    whole = _whole_folds(rows.folds, empty)
    if whole:
        raise UsageError(
            f"{shown}: those of the folds {few(whole)}, which were never predicted. Predict them, "
            f"or leave their rows out of all files"
        )
    if TASKS[rows.task].single:
        raise UsageError(
            f"{shown}: they were never predicted. Predict them, or leave the rows out of all files"
        )
    whole_numbers = not (probs % 1).any()
    return [] if whole_numbers else [f"{shown}: leave them out if they were never predicted"]


def _whole_folds(folds: Indices | None, empty: NDArray[np.bool_]) -> list[int]:
    """Return the folds whose every row is empty, where others have predictions."""
    if folds is None or empty.all():
        return []
    return [int(fold) for fold in np.unique(folds) if empty[folds == fold].all()]


def _check_finite(rows: Rows, probs: Pooled) -> None:
    bad = ~np.isfinite(probs).all(1)
    if bad.any():
        ids = [rows.ids[i] for i in np.flatnonzero(bad).tolist()]
        whole = _whole_folds(rows.folds, np.asarray(np.isnan(probs).all(1), bool))
        folds = f": the folds {few(whole)} were never predicted" if whole else ""
        raise UsageError(f"{rows.where} is NaN or infinite for {few(ids)}{folds}")


def _off(probs: Pooled) -> NDArray[np.bool_]:
    """Return which rows are no probabilities that sum to 1, as far as their digits tell."""
    return np.asarray((np.abs(probs.sum(1) - 1) > _tolerance(probs)) | (probs < 0).any(1), bool)


def _tolerance(probs: Pooled) -> float:
    """Return how far from 1 rows may be: half a unit of the last digit for each class."""
    digits = _digits(probs)
    rounded = 0.5 * probs.shape[1] * 10.0**-digits + 1e-9 if digits else 0.0
    return max(ROW_SUM, min(rounded, _COARSEST))


def _digits(probs: Pooled) -> int:
    """Return the digits that probabilities were rounded to; 0 where they were not."""
    if not (probs[:_SOME] % 1).any() and not (probs % 1).any():
        return 0
    for digits in _DIGITS:
        if _has_digits(probs[:_SOME], digits) and _has_digits(probs, digits):
            return digits
    return 0


def _has_digits(probs: Pooled, digits: int) -> bool:
    scaled = probs * 10.0**digits
    return bool((np.abs(scaled - np.rint(scaled)) < _ROUNDING).all())


def _why_off(rows: Rows, probs: Pooled, off: NDArray[np.bool_]) -> str:
    """Say why rows are no probabilities, and what to do."""
    row, sums = int(np.flatnonzero(off)[0]), probs.sum(1)
    told = (
        f"{rows.where} gives no probabilities for {int(off.sum())} rows; {rows.ids[row]!r} sums "
        f"to {sums[row]:.4g}. "
    )
    odd = np.asarray(((probs < 0) | (probs > 1)).any(0), bool)
    if names := _no_classes(rows, probs, odd):
        return f"{told}Without {names} the rows sum to 1: is it no class? Then leave it out"
    if (probs >= 0).all() and sum_to_one(probs / _PERCENT):
        return f"{told}They are percentages: divide them by 100"
    if odd.any() and off.mean() < _FEW:
        return f"{told}The other rows sum to 1: predict these too, or leave them out of all files"
    if odd.any():
        return f"{told}Apply the softmax first"
    if _digits(probs):
        told += f"They are rounded to {_digits(probs)} digits: write more of them. "
    return (
        f"{told}Is a class left out, or a column no class? Labels that are given each on its own "
        f"are --task multilabel, values --task regression"
    )


def _no_classes(rows: Rows, probs: Pooled, odd: NDArray[np.bool_]) -> str:
    """Name columns without which the rows sum to 1: those with odd values, or else one."""
    if odd.any():
        gone = odd & (not odd.all() and sum_to_one(probs[:, ~odd]))
    else:
        gone = (np.abs(probs.sum(1, keepdims=True) - probs - 1) <= ROW_SUM).all(0)
        gone &= np.cumsum(gone) == 1  # where several would do, the first
    return few([name for name, left in zip(rows.classes, gone, strict=True) if left])


def _check_labels(rows: Rows, probs: Pooled) -> None:
    off = ((probs < 0) | (probs > 1)).any(1)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise UsageError(
            f"{rows.where} gives no probabilities of labels for {int(off.sum())} rows; "
            f"{rows.ids[row]!r} has values from {probs[row].min():.4g} to {probs[row].max():.4g}. "
            f"Apply the sigmoid first"
        )
