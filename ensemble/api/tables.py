"""Tables that Python is given: files, frames, series, as the library takes them.

A frame is the table that its CSV would be, and its rows are told by their ids, never their places.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

from ensemble.api.arguments import TasksGiven, unlike
from ensemble.errors import UsageError
from ensemble.files.label_maps import read_label_map
from ensemble.files.text_table import TableSource, TextTable
from ensemble.label_map import LABEL, LabelMap
from ensemble.recipe.sources import tasks_text
from ensemble.submission.folder import submission_at
from ensemble.submission.publish import Submission

if TYPE_CHECKING:
    import pandas as pd

TableGiven: TypeAlias = Union[str, Path, "pd.DataFrame"]
"""A CSV, or a frame with the ids in its column `id`, or else in its index."""


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


def frame_by_id(given: object, what: str, id_col: str | None = None) -> "pd.DataFrame":
    """Return a frame with its ids in the index; rows are never joined by their position.

    Args:
        given: The frame.
        what: What it is, in messages.
        id_col: The column of the ids; None takes `id`, or else the index.

    Raises:
        UsageError: no frame, or an index that numbers the rows, and no column of ids.
    """
    import pandas as pd

    if not isinstance(given, pd.DataFrame):
        raise unlike(what, "a path or a DataFrame", given)
    return _indexed(given, what, id_col)


def _indexed(frame: "pd.DataFrame", what: str, id_col: str | None = None) -> "pd.DataFrame":
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
