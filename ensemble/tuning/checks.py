"""Before tuning: what would make the answer wrong is an error, weak a note."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Vector
from ensemble.cores import each
from ensemble.errors import UsageError, few
from ensemble.evaluation.metrics import Metric, Truth, check_defined
from ensemble.records import TASKS, Task
from ensemble.tuning.blocks import Stored, exact, parts_of

COPY: Final = 0.999
"""Families whose probabilities correlate more are near copies."""


def groups_of(ids: Sequence[str], groups: Mapping[str, str], folds: Indices | None) -> Indices:
    """Return the group of each id as a number, int64 (N,), having checked that none leaks.

    Raises:
        UsageError: an id without a group, or a group in several folds, which would let a blend
            see what it is judged by.
    """
    lacking = [i for i in ids if i not in groups]
    if lacking:
        raise UsageError(f"no group for {few(lacking)}")
    names, numbers = np.unique([groups[i] for i in ids], return_inverse=True)
    if folds is not None:
        pairs = np.unique(np.stack([numbers, folds]), axis=1)
        twice = np.flatnonzero(np.bincount(pairs[0]) > 1)
        if len(twice):
            shown = [f"{names[g]} (folds {few(pairs[1][pairs[0] == g].tolist())})" for g in twice]
            raise UsageError(f"groups lie in several folds: {few(shown)}")
    return numbers.astype(np.int64)


def check_rows(y: Truth, classes: Sequence[str], metric: Metric, folds: Indices | None) -> None:
    """Check that the metric is defined on the rows, and on all but each fold.

    Raises:
        UsageError: a class without rows; names it, and the fold.
    """
    check_defined(y, tuple(classes), metric.task, metric.name)
    present = _present(y, len(classes), metric.task)
    for fold in [] if folds is None else np.unique(folds):
        rest = _present(y[folds != fold], len(classes), metric.task)
        gone = [c for c, there, left in zip(classes, present, rest, strict=True) if there > left]
        if gone:
            raise UsageError(
                f"fold {fold} holds every row of {few(gone)}: no blend could be fitted without "
                f"it. Make the folds stratified"
            )


def _correlations(stack: Stored) -> NDArray[np.float64]:
    """Return the correlations (M, M) of all numbers of families; NaN of one that is constant."""
    middle = stack[:, 0, 0].astype(np.float64)  # near enough to the mean to lose no digits

    def sums(part: slice) -> tuple[Vector, NDArray[np.float64]]:
        away = exact(stack, part).reshape(len(stack), -1) - middle[:, None]
        return away.sum(1), away @ away.T

    found = each(sums, parts_of(stack))
    total, square = sum(each for each, _ in found), sum(each for _, each in found)
    spread = square - np.outer(total, total) / stack[0].size
    root = np.sqrt(np.diag(spread))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(spread / np.outer(root, root), np.float64)


def _present(y: Truth, classes: int, task: Task) -> NDArray[np.bool_]:
    """Return which classes some row shows, (C,); the columns of a regression always do."""
    if not TASKS[task].bounded:
        return np.ones(classes, bool)
    if TASKS[task].several:
        return np.asarray((y == 1).any(0), bool)
    return np.asarray(np.bincount(y.astype(np.int64), minlength=classes) > 0, bool)


def notes_of(names: Sequence[str], stack: Stored, folds: Indices | None) -> list[str]:
    """Return what makes the answer weaker than it could be, a line each."""
    notes = []
    alike = _correlations(stack)
    for first in range(len(names)):
        for second in range(first):
            same = float(alike[first, second])
            constant = np.isnan(same)
            if same > COPY or (constant and np.array_equal(stack[first], stack[second])):
                notes.append(
                    f"{names[second]} and {names[first]} are near copies (correlation {same:.4f})"
                )
    if folds is None:
        notes.append("there are no folds: scores are apparent, and there is no evidence")
    elif len(np.unique(folds)) < 2:
        raise UsageError("all rows lie in one fold: evidence needs two folds or more")
    if len(names) == 1:
        notes.append("there is one family: nothing can be blended")
    return notes
