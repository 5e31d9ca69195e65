"""A label map read from its table."""

from collections.abc import Sequence

from ensemble.errors import UsageError, few
from ensemble.files.csv_tables import read_lines
from ensemble.files.paths import natural_key
from ensemble.files.text_table import TableSource
from ensemble.label_map import LABEL, LabelMap
from ensemble.label_tasks import declared_tasks


def read_label_map(path: TableSource, tasks: str = "") -> LabelMap:
    """Read a label map, and what is declared of its tasks.

    Args:
        path: A CSV with the column `label` and one column a task.
        tasks: TOML that declares what the table cannot tell, as `[tasks]` of ensemble.toml does:
            `age = {cuts = [30, 60], spread = 4}`. A task without cuts whose classes name their
            bounds (<30, 30-59, >=60) is cut there.

    Raises:
        UsageError: no such table, a label or a combination that stands there twice, an empty
            cell, or a declaration that does not fit; names the row or the task.
    """
    header, lines = read_lines(path)
    names = _tasks_in(path, header)
    label = header.index(LABEL)
    rows: dict[str, tuple[str, ...]] = {}
    places: dict[tuple[str, ...], int] = {}
    for line in lines:
        found = tuple(line.cells[header.index(name)] for name in names)
        where = f"{path}, line {line.line}"
        _check_row(where, line.cells[label], found, names)
        if line.cells[label] in rows:
            raise UsageError(f"{where}: the label {line.cells[label]!r} stands there twice")
        twin = places.setdefault(found, line.line)
        if twin != line.line:
            told = ", ".join(f"{name} {cell}" for name, cell in zip(names, found, strict=True))
            raise UsageError(f"{where}: the combination {told} is that of line {twin} too")
        rows[line.cells[label]] = found
    if len(rows) < 2:
        raise UsageError(f"{path}: expected two labels or more, a row each, found {len(rows)}")
    labels = tuple(sorted(rows, key=natural_key))
    columns = {name: {rows[each][place] for each in labels} for place, name in enumerate(names)}
    made = declared_tasks(columns, tasks)
    return LabelMap(labels, made, tuple(rows[each] for each in labels))


def _tasks_in(path: TableSource, header: Sequence[str]) -> list[str]:
    """Return the columns of tasks, in the natural order of their names."""
    if LABEL not in header:
        raise UsageError(
            f"{path}: a label map has the column {LABEL!r} and one column a task; found "
            f"{few(header)}"
        )
    names = sorted((name for name in header if name != LABEL), key=natural_key)
    if not names or not all(name.strip() for name in names):
        raise UsageError(f"{path}: expected a named column for each task, found {few(header)}")
    return names


def _check_row(where: str, label: str, row: Sequence[str], names: Sequence[str]) -> None:
    for name, cell in zip((LABEL, *names), (label, *row), strict=True):
        if not cell.strip():
            raise UsageError(f"{where}, column {name!r}: the cell is empty")
