"""Folds: making them stratified and by group, and checking those that are there."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices
from ensemble.errors import UsageError, few
from ensemble.files.columns import fold_column
from ensemble.files.csv_tables import as_folds, column_of, read_table
from ensemble.files.ids import Tell
from ensemble.files.parquet import FOLD
from ensemble.files.text_table import TableSource
from ensemble.html_table import html_table

_SHOWN: Final = 8
"""Columns of classes that a notebook shows."""


@dataclass(frozen=True, slots=True, repr=False)
class FoldReport:
    """What folds look like: `counts` (F, C) are rows a fold and class, in the order of the names.

    `straddling` are groups that lie in several folds, `twins` sets of ids with the same bytes
    that do; both leak. `near` are pairs of ids in two folds that only look alike.
    """

    folds: tuple[int, ...]
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    straddling: tuple[str, ...]
    twins: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        found = {"groups that leak": self.straddling, "sets of twins": self.twins,
                 "pairs that look alike": self.near}  # fmt: skip
        odd = "".join(f", {len(those)} {name}" for name, those in found.items() if those)
        rows, folds = int(self.counts.sum()), len(self.folds)
        return f"<FoldReport: {rows} rows in {folds} folds, {len(self.classes)} classes{odd}>"

    def _repr_html_(self) -> str:
        shown = self.classes[:_SHOWN]
        rows = zip(self.folds, self.counts.tolist(), strict=True)
        cells = [(fold, sum(counts), *counts[: len(shown)]) for fold, counts in rows]
        return html_table(repr(self), ("fold", "rows", *shown), cells)

    @property
    def leaks(self) -> bool:
        """Whether a fold knows rows of another."""
        return bool(self.straddling or self.twins)


def report_folds(
    labels: Mapping[str, str],
    folds: Mapping[str, int],
    *,
    groups: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
) -> FoldReport:
    """Look at an assignment: the balance of the classes, and what leaks between folds.

    Args:
        labels: The class of each id.
        folds: The fold of each id.
        groups: The group of each id, if rows belong together.
        digests: The hash of each id's image: images that are the same are found by it.

    Raises:
        UsageError: ids with a label and no fold, or the reverse.
    """
    odd = sorted(set(labels) ^ set(folds))
    if odd:
        raise UsageError(f"ids with a label or a fold, and not both: {few(odd)}")
    numbers, classes = sorted(set(folds.values())), sorted(set(labels.values()))
    rows = Counter((folds[name], label) for name, label in labels.items())
    counts = [[rows[fold, label] for label in classes] for fold in numbers]
    return FoldReport(
        folds=tuple(numbers),
        classes=tuple(classes),
        counts=np.array(counts, np.int64).reshape(len(numbers), len(classes)),  # none: (0, 0)
        straddling=tuple(_apart(groups or {}, folds)),
        twins=tuple(tuple(ids) for ids in _apart(digests or {}, folds).values()),
    )


def folds_from(
    path: TableSource, ids: Sequence[str], id_column: str | None = None, tell: Tell | None = None
) -> Indices:
    """Read the fold of each id from a CSV with an id column and a column `fold` or `kfold`.

    Raises:
        UsageError: no such columns, an id without a fold, or a fold that is no whole number.
    """
    return folds_of(ids, listed_folds(path, id_column, ids, tell), path)


def listed_folds(
    path: TableSource,
    id_column: str | None = None,
    known: Collection[str] = (),
    tell: Tell | None = None,
) -> dict[str, str]:
    """Return the fold of each id that a CSV lists, as it is written; see `columns.fold_column`.

    For the ids see `csv_tables.rows_of`.

    Raises:
        UsageError: a column that is not there, or an id that is empty or stands there twice.
    """
    header, _ = read_table(path)
    return column_of(path, fold_column(path, header) or FOLD, id_column, known, tell)


def folds_of(ids: Sequence[str], folds: Mapping[str, object], where: object) -> Indices:
    """Return the fold of each id, int64 (N,); `where` names the folds in messages.

    Raises:
        UsageError: an id without a fold, or a fold that is no whole number.
    """
    lacking = [i for i in ids if i not in folds]
    if lacking:
        raise UsageError(f"{where}: no fold for {few(lacking)}")
    try:
        return as_folds([folds[i] for i in ids])
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def refuse_leaks(report: FoldReport) -> None:
    """Raise where a fold knows rows of another.

    Raises:
        UsageError: names groups and images.
    """
    faults = []
    if report.straddling:
        faults.append(f"groups in several folds: {few(report.straddling)}")
    if report.twins:
        shown = [f"({', '.join(ids)})" for ids in report.twins]
        faults.append(f"the same image in several folds: {few(shown)}")
    if faults:
        raise UsageError(f"these folds leak: {'; '.join(faults)}. Split anew with --group")


def _apart(keys: Mapping[str, str], folds: Mapping[str, int]) -> dict[str, Sequence[str]]:
    """Return the ids of each key that lies in several folds."""
    together: dict[str, list[str]] = {}
    for name, key in keys.items():
        if name in folds:
            together.setdefault(key, []).append(name)
    return {key: ids for key, ids in sorted(together.items()) if len({folds[i] for i in ids}) > 1}
