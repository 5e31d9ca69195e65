"""A submission as it was written: its columns and cells by id, for what looks at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.files.columns import submitted_id
from ensemble.files.csv_tables import by_id, read_lines
from ensemble.files.text_table import TableSource


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission: its columns after the id, and each id's cells, in the order of the file."""

    path: TableSource
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[str]]

    @property
    def has_labels(self) -> bool:
        """Whether it holds a label for each id, not a probability for each class."""
        return len(self.columns) == 1

    def labels(self) -> list[str]:
        """Return the first cell of each id, in the order of the file."""
        return [cells[0] for cells in self.rows.values()]

    def probabilities(
        self, ids: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> Pooled:
        """Return the cells as float64 (N, C), in the order of these ids and columns, or its own.

        Raises:
            UsageError: a cell is no finite number; names its id.
        """
        ids = list(self.rows) if ids is None else ids
        order = [self.columns.index(name) for name in columns or self.columns]
        try:
            cells = [[float(self.rows[name][place]) for place in order] for name in ids]
        except ValueError as error:
            raise UsageError(f"{self.path}: probabilities are numbers: {error}") from error
        found = np.array(cells, np.float64).reshape(len(ids), len(order))
        odd = np.flatnonzero(~np.isfinite(found).all(1))
        if odd.size:
            names = few([ids[row] for row in odd.tolist()])
            raise UsageError(f"{self.path}: probabilities are finite; those of {names} are not")
        return found


def read_submission(path: TableSource, id_column: str | None = None) -> Submitted:
    """Read a submission of labels, or of a probability a class.

    The id is `id_column`, the column `id`, or the first.

    Raises:
        UsageError: no table, no column after the id, no rows, or an id that is empty or stands
            there twice.
    """
    header, body = read_lines(path)
    if len(header) < 2 or not body:
        raise UsageError(f"{path}: expected an id column, another, and rows")
    place = header.index(submitted_id(path, header, said=id_column))
    rows = {
        name: [*row.cells[:place], *row.cells[place + 1 :]]
        for name, row in by_id(path, body, place).items()
    }
    return Submitted(path, (*header[:place], *header[place + 1 :]), rows)
