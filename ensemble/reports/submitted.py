"""A submission as it was written: its columns and cells by id, for what looks at it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.files.csv_tables import read_table
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


def read_submission(path: TableSource) -> Submitted:
    """Read a submission of labels, or of a probability a class.

    Raises:
        UsageError: no table, no column after the id, no rows, or an id that stands there twice.
    """
    header, body = read_table(path)
    if len(header) < 2 or not body:
        raise UsageError(f"{path}: expected an id column, another, and rows")
    rows = {row[0]: row[1:] for row in body}
    if len(rows) < len(body):
        twice = [name for name, count in Counter(row[0] for row in body).items() if count > 1]
        raise UsageError(f"{path}: ids stand there twice: {few(twice)}; expected different ids")
    return Submitted(path, tuple(header[1:]), rows)
