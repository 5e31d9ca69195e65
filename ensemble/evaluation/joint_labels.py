"""The truth of a label map: labels as they stand, or made of the columns of its tasks."""

from collections.abc import Mapping, Sequence

from ensemble.arrays import Indices
from ensemble.errors import UsageError, few
from ensemble.evaluation.labels import truth_of
from ensemble.files.csv_tables import TableRow, column_of, read_lines, rows_of
from ensemble.files.ids import Tell
from ensemble.files.text_table import TableSource
from ensemble.label_map import LabelMap


def read_joint_truth(
    path: TableSource,
    ids: Sequence[str],
    label_map: LabelMap,
    label_column: str,
    *,
    id_column: str | None = None,
    tell: Tell | None = None,
) -> Indices:
    """Return the label of each id, int64 (N,), from a column of labels or one for each task.

    A table may have both, if they agree. A task's cell is a class, a finer class that is merged, or
    a number that is cut.

    Raises:
        UsageError: columns or ids that are missing; a cell that is no class, a combination that
            stands for no label, or a label that its tasks contradict; names the row.
    """
    labels = joint_labels(path, label_map, label_column, id_column=id_column, known=ids, tell=tell)
    return truth_of(ids, labels, label_map.labels, path)


def joint_labels(
    path: TableSource,
    label_map: LabelMap,
    label_column: str,
    *,
    id_column: str | None = None,
    known: Sequence[str] = (),
    tell: Tell | None = None,
) -> Mapping[str, str]:
    """Return the label of each row of a table by id; see `read_joint_truth`."""
    header, _ = read_lines(path)
    if not set(label_map.names) <= set(header):
        if label_column not in header:
            lacking = [name for name in label_map.names if name not in header]
            raise UsageError(
                f"{path}: expected the column {label_column!r}, or one for each task; there is "
                f"none for {few(lacking)}. It has {few(header)}"
            )
        return column_of(path, label_column, id_column, known, tell)
    own = [label_column] if label_column in header else []
    rows = rows_of(path, [*label_map.names, *own], id_column, known, tell)
    named = dict(zip(label_map.rows, label_map.labels, strict=True))
    return {name: _label(path, name, row, label_map, named) for name, row in rows.items()}


def _label(
    path: TableSource,
    name: str,
    row: TableRow,
    label_map: LabelMap,
    named: Mapping[tuple[str, ...], str],
) -> str:
    """Return the label of a row of tasks, and of the label where the row has it too."""
    where = f"{path}, line {row.line}, id {name!r}"
    found = []
    for task, cell in zip(label_map.tasks, row.cells, strict=False):
        said = task.class_of(cell)
        if said is None:
            raise UsageError(
                f"{where}, column {task.name!r}: expected one of {few(task.classes)}"
                f"{' or a number' if task.cuts else ''}, found {cell!r}"
            )
        found.append(said)
    label = named.get(tuple(found))
    if label is None:
        raise UsageError(f"{where}: the classes {few(found)} stand for no label of the label map")
    own = row.cells[len(label_map.tasks) :]
    if own and own[0] != label:
        raise UsageError(
            f"{where}: its label is {own[0]!r}, and its tasks {few(found)} make {label!r}: which "
            f"is right?"
        )
    return label
