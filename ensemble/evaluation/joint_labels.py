"""The truth of a label map: labels as they stand, or made of the columns of its tasks."""

from collections.abc import Mapping, Sequence
from functools import partial

from ensemble.arrays import Indices
from ensemble.errors import UsageError, few
from ensemble.evaluation.labels import truth_of
from ensemble.files.csv_tables import read_lines, rows_of
from ensemble.files.ids import Tell
from ensemble.files.text_table import TableSource
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask


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

    A table may have both, if they agree, and beside the labels some of the tasks. A task's cell is
    a class, a finer class that is merged, or a number that is cut.

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
    there = [task for task in label_map.tasks if task.name in header]
    own = [label_column] if label_column in header else []
    if not own:
        _check_tasks(path, header, label_map, label_column)
    rows = rows_of(path, [*(task.name for task in there), *own], id_column, known, tell)
    made = dict(zip(label_map.rows, label_map.labels, strict=True))
    of = {label: dict(zip(label_map.names, row, strict=True)) for row, label in made.items()}
    label_of = partial(_label_of, tasks=there, made=made, of=of)
    return {
        name: label_of(f"{path}, line {row.line}, id {name!r}", row.cells)
        for name, row in rows.items()
    }


def _check_tasks(
    path: TableSource, header: Sequence[str], label_map: LabelMap, label_column: str
) -> None:
    """Check that a table without labels has a column for each task."""
    if lacking := [name for name in label_map.names if name not in header]:
        raise UsageError(
            f"{path}: expected the column {label_column!r}, or one for each task; there is none "
            f"for {few(lacking)}. It has {few(header)}"
        )


def _label_of(
    where: str,
    cells: Sequence[str],
    *,
    tasks: Sequence[LabelTask],
    made: Mapping[tuple[str, ...], str],
    of: Mapping[str, Mapping[str, str]],
) -> str:
    """Return the label of a row: as it stands behind the tasks, or what these make."""
    said = _classes_said(where, tasks, cells)
    if len(cells) == len(tasks):
        return _made(where, said, made)
    if tasks:
        _check_agrees(where, cells[-1], said, of)
    return cells[-1]


def _classes_said(where: str, tasks: Sequence[LabelTask], cells: Sequence[str]) -> dict[str, str]:
    """Return the class that a row says of each task, by its name."""
    found = {}
    for task, cell in zip(tasks, cells, strict=False):
        said = task.class_of(cell)
        if said is None:
            raise UsageError(
                f"{where}, column {task.name!r}: expected one of {few(task.classes)}"
                f"{' or a number' if task.cuts else ''}, found {cell!r}"
            )
        found[task.name] = said
    return found


def _made(where: str, said: Mapping[str, str], made: Mapping[tuple[str, ...], str]) -> str:
    """Return the label that a class of each task makes."""
    label = made.get(tuple(said.values()))
    if label is None:
        raise UsageError(
            f"{where}: the classes {few(list(said.values()))} stand for no label of the label map"
        )
    return label


def _check_agrees(
    where: str, label: str, said: Mapping[str, str], of: Mapping[str, Mapping[str, str]]
) -> None:
    """Check that a label has the classes that its row says of some tasks."""
    if label not in of:
        raise UsageError(f"{where}: {label!r} is no label of the label map: {few(list(of))}")
    own = {name: of[label][name] for name in said}
    if own != said:
        raise UsageError(
            f"{where}: its label is {label!r}, and its tasks say {few(list(said.values()))}; that "
            f"label has {few(list(own.values()))}: which is right?"
        )
