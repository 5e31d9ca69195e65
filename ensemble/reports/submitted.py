"""A submission as it was written: its columns and cells by id, for what looks at it."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.files.columns import submitted_id
from ensemble.files.csv_tables import read_table
from ensemble.files.text_table import TableSource


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission: its columns after the id, and each id's cells, in the order of the file.

    Of a melted one with a column of names, an id is that of the image, a space and the name.
    """

    path: TableSource
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[str]]

    @property
    def has_labels(self) -> bool:
        """Whether it holds a label for each id, not a probability for each class."""
        return len(self.columns) == 1

    @property
    def has_values(self) -> bool:
        """Whether its one column holds numbers, and not whole ones alone, which may be labels."""
        cells = self.labels() if self.has_labels else []
        return all(map(is_number, cells)) and not all(map(_is_whole, cells))

    @property
    def has_tasks(self) -> bool:
        """Whether it has several columns, and not all of them hold numbers: labels of tasks."""
        cells = itertools.chain.from_iterable(self.rows.values())
        return len(self.columns) > 1 and not all(map(is_number, cells))

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
    """Read a submission: of labels, of a probability a class, of several tasks, or melted.

    The id is `id_column`, the column `id`, or the first. Where ids stand there more than once, one
    of two other columns names the targets: that of which each id has every one once.

    Raises:
        UsageError: no table, no column after the id, no rows, or an id that stands there twice.
    """
    header, body = read_table(path)
    if len(header) < 2 or not body:
        raise UsageError(f"{path}: expected an id column, another, and rows")
    place = header.index(submitted_id(path, header, said=id_column))
    rows = {row[place]: [*row[:place], *row[place + 1 :]] for row in body}
    if len(rows) == len(body):
        return Submitted(path, (*header[:place], *header[place + 1 :]), rows)
    targets = [n for n in range(len(header)) if n != place and _are_pairs(body, place, n)]
    if len(header) != 3 or len(targets) != 1:
        twice = [name for name, count in Counter(row[place] for row in body).items() if count > 1]
        raise UsageError(f"{path}: ids stand there twice: {few(twice)}; expected different ids")
    value = 3 - place - targets[0]
    melted = {f"{row[place]} {row[targets[0]]}": [row[value]] for row in body}
    return Submitted(path, (header[value],), melted)


def is_number(text: str) -> bool:
    """Tell whether a cell is a number, be it not finite."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()


def _are_pairs(body: Sequence[Sequence[str]], place: int, other: int) -> bool:
    """Tell whether every id stands once with every cell of another column."""
    pairs = {(row[place], row[other]) for row in body}
    ids, names = ({pair[side] for pair in pairs} for side in (0, 1))
    return len(body) == len(pairs) == len(ids) * len(names)
