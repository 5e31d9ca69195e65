"""Tables and predictions that Python is given: files, frames, series, as the library takes them.

A frame is the table that its CSV would be, and its rows are told by their ids, never their places.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

from ensemble.api.arguments import ClassesGiven, TasksGiven, classes_in, unlike
from ensemble.errors import UsageError, few
from ensemble.files.label_maps import read_label_map
from ensemble.files.paths import split_named
from ensemble.files.text_table import TableSource, TextTable
from ensemble.label_map import LABEL, LabelMap
from ensemble.predictions.formats import in_memory, read, read_parts
from ensemble.predictions.hints import ForeignHints, hints_for
from ensemble.predictions.join import join
from ensemble.predictions.table import Oof
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.recipe.sources import tasks_text
from ensemble.records import Task
from ensemble.submission.folder import submission_at
from ensemble.submission.publish import Submission

if TYPE_CHECKING:
    import pandas as pd

TableGiven: TypeAlias = Union[str, Path, "pd.DataFrame"]
"""A CSV, or a frame with the ids in its column `id`, or else in its index."""

PredictionsGiven: TypeAlias = Oof | str | Path | Sequence[str | Path] | Mapping[str, TableGiven]
"""An Oof; files, each as `[NAME=]FILE`; or by family a file or a frame, a column a class."""


class ById(Protocol):
    """A mapping or a Series: a value by id."""

    def items(self) -> Iterable[tuple[Hashable, object]]:
        """Yield each id with its value."""


def table_of(
    given: object,
    what: str,
    column: str = "",
    id_col: str | None = None,
    *,
    melted: bool = False,
) -> TableSource:
    """Return a path, or a frame as a table; `what` names it in messages.

    Args:
        given: A path; a DataFrame, its ids in the column `id`, or else in the index; where there
            is a `column`, also its values by id: a Series or a mapping.
        what: What it is.
        column: The name of the one column of what is no frame.
        id_col: The column of a frame's ids, where it is not called `id`.
        melted: Whether ids may stand in several rows, as of a melted sample: who reads it checks.

    Raises:
        UsageError: another type, or a frame or series whose index was never set to ids.
    """
    if isinstance(given, str | Path):
        return Path(given)
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return _of_frame(given, what, id_col, melted=melted)
    if column and isinstance(given, pd.Series):
        return _of_frame(given.to_frame(column), what)
    if column and isinstance(given, Mapping):
        rows = [(str(name), _cell(value)) for name, value in given.items()]
        return _table(what, ("id", column), rows)
    expected = "a path or a DataFrame" + (", a Series or a mapping by id" if column else "")
    raise unlike(what, expected, given)


def optional_table(
    given: object, what: str, column: str = "", id_col: str | None = None
) -> TableSource | None:
    """Return a table as `table_of` does, or None where nothing was given."""
    return None if given is None else table_of(given, what, column, id_col)


def sample_of(given: object, id_col: str | None = None) -> TableSource | None:
    """Return a sample, melted or not, or None where none was given."""
    return None if given is None else table_of(given, "sample", id_col=id_col, melted=True)


def submission_of(given: object, what: str, id_col: str | None = None) -> TableSource:
    """Return a submission: of a file, a run's folder, a frame, or as `run` gave it.

    Raises:
        UsageError: another type, or a run that wrote no submission.
    """
    if not isinstance(given, Submission):
        return submission_at(table_of(given, what, id_col=id_col, melted=True))
    if given.path is None:
        raise UsageError(
            f"{what}: images of {given.folder} were quarantined, so there is no submission; "
            f"vote again with fill"
        )
    return Path(given.path)


def label_map_of(given: TableGiven | None) -> TableSource | None:
    """Return the table of a label map: a CSV, or a frame with the labels in its column `label`."""
    return optional_table(given, "label_map", id_col=LABEL)


def read_label_map_of(given: TableGiven | None, tasks: TasksGiven) -> LabelMap | None:
    """Read a label map that Python is given, and what is declared of its tasks.

    Raises:
        UsageError: what is wrong with it, or tasks of no map.
    """
    table, told = label_map_of(given), tasks_text(tasks)
    if table is None:
        if told:
            raise UsageError("tasks belong to a label map: give label_map too")
        return None
    return read_label_map(table, told)


def tasks_of(
    given: "PredictionsGiven | TaskPredictions", what: str, hints: ForeignHints, label_map: LabelMap
) -> TaskPredictions:
    """Return predictions of several tasks, joined through a label map; see `predictions_of`.

    Raises:
        UsageError: another type, or predictions that are none or do not go together.
        ContractError: files that predict other rows.
    """
    if isinstance(given, TaskPredictions):
        return join_tasks(given.parts, label_map)
    if isinstance(given, Oof):
        return join_tasks([given], label_map)
    parts = [part for name, path in _files_of(given) for part in read_parts(path, name, hints)]
    parts += [_of_family(name, frame, hints) for name, frame in _frames_of(given)]
    if not parts:
        expected = "what predict_oof gave, paths, or a mapping of families to paths or DataFrames"
        raise unlike(what, expected, given)
    return join_tasks(parts, label_map)


def hints_of(
    given: object,
    rows_of: object,
    classes: ClassesGiven | None,
    task: Task | None,
    id_col: str | None = None,
) -> ForeignHints:
    """Return what files from elsewhere do not say, as the flags of these names do."""
    names = classes_in(classes or ())
    paths = [path for _, path in _files_of(given)]
    rows = optional_table(rows_of, "rows_of", id_col=id_col)
    return hints_for(paths, rows, names, task, id_col)


def predictions_of(given: object, what: str, hints: ForeignHints) -> Oof:
    """Return predictions as they are; or read files and frames, check each, and join them.

    Raises:
        UsageError: another type, or predictions that are none or do not go together.
    """
    if isinstance(given, Oof):
        if hints.task not in (None, given.task):
            raise UsageError(f"{what}: the predictions are {given.task}, not {hints.task}")
        return given
    parts = [read(path, name, hints) for name, path in _files_of(given)]
    parts += [_of_family(name, frame, hints) for name, frame in _frames_of(given)]
    if not parts:
        expected = "an Oof, paths, or a mapping of families to paths or DataFrames"
        raise unlike(what, expected, given)
    return join(parts)


def _files_of(given: object) -> list[tuple[str | None, Path]]:
    """Return the files among predictions, each with the name of its family or None."""
    if isinstance(given, Path):
        return [(None, given)]
    if isinstance(given, str):
        name, path = split_named(given)
        return [(name or None, Path(path))]
    if isinstance(given, Mapping):
        return [(str(n), Path(p)) for n, p in given.items() if isinstance(p, str | Path)]
    if isinstance(given, list | tuple):
        return [found for each in given for found in _files_of(each)]
    return []


def _frames_of(given: object) -> "list[tuple[str, pd.DataFrame]]":
    """Return the frames among predictions, each with the name of its family."""
    if not isinstance(given, Mapping):
        return []
    rest = {str(n): f for n, f in given.items() if not isinstance(f, str | Path)}
    if not rest:
        return []
    import pandas as pd

    if odd := [name for name, frame in rest.items() if not isinstance(frame, pd.DataFrame)]:
        raise unlike(f"family {odd[0]!r}", "a path or a DataFrame", rest[odd[0]])
    return list(rest.items())


def _of_family(name: str, frame: "pd.DataFrame", hints: ForeignHints) -> Oof:
    where = f"family {name!r}"
    frame = _indexed(frame, where, hints.id_column)
    twice = [name for name, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise UsageError(f"{where}: classes stand there twice: {few(twice)}")
    columns = {str(c): frame.iloc[:, p].tolist() for p, c in enumerate(frame.columns)}
    return in_memory(where, name, [str(i) for i in frame.index], columns, hints)


def _of_frame(
    frame: "pd.DataFrame", what: str, id_col: str | None = None, *, melted: bool = False
) -> TextTable:
    frame = _indexed(frame, what, id_col)
    columns = [frame.iloc[:, place].tolist() for place in range(frame.shape[1])]
    cells = [tuple(map(_cell, row)) for row in zip(frame.index.tolist(), *columns, strict=True)]
    header = (str(frame.index.name or "id"), *map(str, frame.columns))
    return TextTable(what, header, tuple(cells)) if melted else _table(what, header, cells)


def _table(what: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> TextTable:
    """Make a table of rows, the id first, having checked that no id stands there twice."""
    counts = Counter(row[0] for row in rows)
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise UsageError(f"{what}: id {twice!r} stands there twice")
    return TextTable(what, header, tuple(rows))


def _indexed(frame: "pd.DataFrame", what: str, id_col: str | None = None) -> "pd.DataFrame":
    """Return a frame with its ids in the index; rows are never joined by their position."""
    import pandas as pd

    if id_col is not None and id_col in frame.columns:
        return frame.set_index(id_col)
    if "id" in frame.columns:
        return frame.set_index("id")
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        raise UsageError(
            f"{what}: its index numbers the rows, and no column is called id: say which "
            f'are the ids, by id_col, by frame.set_index("…"), or by frame.rename_axis("id") where '
            f"the numbers are"
        )
    return frame


def _cell(value: object) -> str:
    """Write a cell as a CSV would: nothing for what is missing."""
    missing = value is None or value != value or str(value) == "<NA>"  # noqa: PLR0124
    return "" if missing else str(value)
