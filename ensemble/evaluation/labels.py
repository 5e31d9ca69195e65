"""The truth that predictions are held against, for each task: read, checked, joined by id."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import UsageError, few
from ensemble.evaluation.metrics import Truth
from ensemble.files.columns import fold_column, is_index
from ensemble.files.csv_tables import column_of, id_of, read_lines, rows_of
from ensemble.files.ids import Tell
from ensemble.files.text_table import TableSource, TextTable
from ensemble.records import TASKS, Task


class Predicted(Protocol):
    """What predictions say of themselves: their N ids, their C classes or targets, their task."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the rows."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, the labels or the targets, in the order of the columns."""

    @property
    def task(self) -> Task:
        """What the columns are."""


def read_truth(
    path: TableSource,
    of: Predicted,
    label_column: str = "label",
    group: str | None = None,
    *,
    id_column: str | None = None,
    tell: Tell | None = None,
) -> Truth:
    """Read the truth of predictions from a CSV.

    Args:
        path: For classes an id column and `label_column`; for multilabel a column of 0 and 1 for
            each class, and none else but `fold` and `group`; for a regression a column for each
            target (of a single target, `label_column` where there is no column of its name).
        of: The predictions that are held against it.
        label_column: The column of the labels.
        group: Another column that the table may have.
        id_column: The column of the ids; None takes `id`, or the one that holds those of `of`.
        tell: Told where its ids are those of `of` but for a folder or an extension.

    Raises:
        UsageError: columns or ids that are missing, or a value that is none; names its line.
    """
    if TASKS[of.task].single:
        labels = column_of(path, label_column, id_column, of.ids, tell)
        return truth_of(of.ids, labels, of.classes, path)
    header, body = read_lines(path)
    columns = list(of.classes)
    # a single target may be called as labels are, whatever the predictions call it
    if not TASKS[of.task].bounded and len(columns) == 1 and columns[0] not in header:
        columns = [label_column]
    key = id_of(path, header, body, id_column, of.ids)
    if TASKS[of.task].several:  # a label without a prediction would be left out of the score
        beside = {key, group, fold_column(path, header), *filter(is_index, header)}
        beyond = sorted(set(header) - {*columns, *beside})
        if beyond:
            raise UsageError(f"{path}, line 1: no class for the columns {few(beyond)}")
    rows = rows_of(path, columns, key, of.ids, tell)
    cells = {name: row.cells for name, row in rows.items()}

    def place(name: str, column: int) -> str:
        line = f", {name!r}" if isinstance(path, TextTable) else f", line {rows[name].line}"
        return f"{path}{line}, column {columns[column]!r}"

    return _numbers(of, cells, place)


def truth_of(
    ids: Sequence[str], labels: Mapping[str, str], classes: Sequence[str], where: object = "labels"
) -> Indices:
    """Return the class of each id, int64 (N,); `where` names the labels in messages.

    Raises:
        UsageError: an id without a label, or a label that is blank or no class; names them.
    """
    _check_labelled(ids, labels)
    check_filled({name: labels[name] for name in ids}, where, classes)
    place = {name: number for number, name in enumerate(classes)}
    odd = sorted({labels[i] for i in ids} - set(place))
    if odd:
        raise UsageError(f"labels that are no class: {few(odd)}; the classes are {few(classes)}")
    return np.array([place[labels[i]] for i in ids], np.int64)


def check_filled(labels: Mapping[str, str], where: object, classes: Collection[str] = ()) -> None:
    """Check that no label is blank, unless a class is called so.

    Raises:
        UsageError: names the ids without a label.
    """
    blank = [name for name, label in labels.items() if not label.strip() and label not in classes]
    if blank:
        raise UsageError(
            f"{where}: the label is blank for {len(blank)} rows, such as {few(blank)}: fill it in, "
            f"or leave the rows out; or name the column of the labels by --label-col"
        )


def check_grouped(groups: Mapping[str, str], ids: Collection[str], where: object) -> None:
    """Check that no group is blank: rows without one would all be of one group.

    Raises:
        UsageError: names the ids without a group.
    """
    blank = [name for name in ids if name in groups and not groups[name].strip()]
    if blank:
        raise UsageError(
            f"{where}: the group is blank for {len(blank)} rows, such as {few(blank)}: give each "
            f"of them a group, be it of its own"
        )


def _numbers(
    of: Predicted, rows: Mapping[str, Sequence[object]], place: Callable[[str, int], str]
) -> Truth:
    _check_labelled(of.ids, rows)
    binary = TASKS[of.task].several
    found = np.empty((len(of.ids), len(of.classes)))
    for row, name in enumerate(of.ids):
        for column, cell in enumerate(rows[name]):
            value = _number(cell)
            if not math.isfinite(value) or (binary and value not in (0, 1)):
                expected = "0 or 1" if binary else "a finite number"
                raise UsageError(f"{place(name, column)}: expected {expected}, found {str(cell)!r}")
            found[row, column] = value
    return found.astype(np.int64) if binary else found


def _check_labelled(ids: Sequence[str], rows: Mapping[str, object]) -> None:
    lacking = [name for name in ids if name not in rows]
    if lacking:
        raise UsageError(f"no label for {few(lacking)}: give --labels for every predicted row")


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return math.nan
