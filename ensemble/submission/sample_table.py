"""A sample as it stands: its rows, and what each column is for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ensemble.errors import UsageError
from ensemble.files.columns import is_index, is_split, submitted_id
from ensemble.files.csv_tables import TableRow, read_lines
from ensemble.files.text_table import TableSource


@dataclass(frozen=True, slots=True)
class SampleTable:
    """A sample: its rows, the place of the id, the columns to be filled, and those to be copied.

    Places count the columns from 0; those to be copied are called as a split or an index, and are
    neither class nor task.
    """

    path: TableSource
    header: tuple[str, ...]
    body: Sequence[TableRow]
    id_place: int
    places: tuple[int, ...]
    copied: tuple[int, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns to be filled."""
        return tuple(self.header[place] for place in self.places)

    @property
    def ids(self) -> list[str]:
        """The cells of the id's column, in the order of the rows."""
        return self.cells(self.id_place)

    def cells(self, place: int) -> list[str]:
        """Return the cells of a column, in the order of the rows."""
        return [row.cells[place] for row in self.body]


def read_sample_table(
    path: TableSource, names: Collection[str], id_column: str | None, known: Collection[str]
) -> SampleTable:
    """Read a sample, and what each of its columns is for.

    Args:
        path: The sample.
        names: The classes and tasks, whose columns are never copied.
        id_column: The column of the ids, where somebody says it.
        known: The ids of the images, by which it may be found.

    Raises:
        UsageError: no table, no rows, or no column for the ids.
    """
    header, body = read_lines(path)
    if not body:
        raise UsageError(f"{path}: expected rows below the header, found no rows")
    cells = [row.cells for row in body]
    at = header.index(submitted_id(path, header, cells, said=id_column, known=known))
    beside = [n for n, name in enumerate(header) if n != at and _is_beside(name, names)]
    copied = beside if len(beside) < len(header) - 1 else []
    places = tuple(n for n in range(len(header)) if n != at and n not in copied)
    return SampleTable(path, tuple(header), body, at, places, tuple(copied))


def _is_beside(name: str, names: Collection[str]) -> bool:
    return name not in names and (is_index(name) or is_split(name))
