"""A submission as it was written: its columns and cells by id, for what looks at it."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.files.columns import fold_column, is_beside, is_index, is_split, submitted_id
from ensemble.files.csv_tables import TableRow, by_id, read_lines
from ensemble.files.text_table import TableSource
from ensemble.predictions.row_values import sum_to_one
from ensemble.predictions.run_told import told_by_run


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission: its columns after the id, and each id's cells, in the order of the file.

    Of a melted one with a column of names, an id is that of the image, a space and the name.
    `notes` are what a person should know of how the columns were read.
    """

    path: TableSource
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[str]]
    notes: tuple[str, ...] = ()

    @property
    def has_labels(self) -> bool:
        """Whether it holds a label for each id, not a probability for each class."""
        return len(self.columns) == 1

    @property
    def has_probability(self) -> bool:
        """Whether it holds the probability of one of two classes: one column, with fractions."""
        try:
            values = self.probabilities()
        except UsageError:  # text
            return False
        inside = bool(((values >= 0) & (values <= 1)).all())
        return self.has_labels and inside and bool((values % 1).any())

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


def read_submission(
    path: TableSource, id_column: str | None = None, known: Collection[str] = ()
) -> Submitted:
    """Read a submission: of labels, of a probability a class, of several tasks, or melted.

    The id is `id_column`, what the run says in whose folder it lies, the column `id`, the one that
    holds the ids of the run or those that are `known`, or the first. Where ids stand there more
    than once, one of two other columns names the targets: that of which each id has every one once.

    Raises:
        UsageError: no table, no column after the id, no rows, or an id that is empty or stands
            there twice.
    """
    header, body = read_lines(path)
    if len(header) < 2 or not body:
        raise UsageError(f"{path}: expected an id column, another, and rows")
    told, cells = told_by_run(path), [row.cells for row in body]
    said = told.id_column if id_column not in header and told.id_column in header else id_column
    known = told.ids or known
    place = header.index(submitted_id(path, header, cells, said=said, known=known))
    if (target := _target_place(header, body, place)) is not None:
        value = sum(range(3)) - place - target
        melted = {f"{row.cells[place]} {row.cells[target]}": [row.cells[value]] for row in body}
        return Submitted(path, (header[value],), melted)
    rows = {
        name: [*row.cells[:place], *row.cells[place + 1 :]]
        for name, row in by_id(path, body, place).items()
    }
    return Submitted(path, (*header[:place], *header[place + 1 :]), rows)


def _target_place(header: Sequence[str], body: Sequence[TableRow], place: int) -> int | None:
    """Return the column of the names in a melted submission of three; None where none has them."""
    if len(header) != 3 or len({row.cells[place] for row in body}) == len(body):
        return None
    found = [n for n in range(len(header)) if n != place and _are_pairs(body, place, n)]
    return found[0] if len(found) == 1 else None


def _are_pairs(body: Sequence[TableRow], place: int, other: int) -> bool:
    """Tell whether every id stands once with every cell of another column."""
    pairs = {(row.cells[place], row.cells[other]) for row in body}
    ids, names = ({pair[side] for pair in pairs} for side in (0, 1))
    return len(body) == len(pairs) == len(ids) * len(names)


def is_number(text: str) -> bool:
    """Tell whether a cell is a number, be it not finite."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()


def predicted_columns(given: Submitted, classes: Collection[str] = ()) -> Submitted:
    """Leave out columns that stand beside predictions: folds, an index, a split, the truth.

    They are told by their names, unless the rows sum to 1 with them, and noted. Out-of-fold files
    have them, and no submission.

    Args:
        given: What was read.
        classes: The classes that are known, whatever they are called.

    Raises:
        UsageError: several columns may be the folds.
    """
    gone = _beside(given, [name for name in given.columns if name not in classes])
    if not gone or len(gone) == len(given.columns):
        return given
    kept = [place for place, name in enumerate(given.columns) if name not in gone]
    return replace(
        given,
        columns=tuple(given.columns[place] for place in kept),
        rows={name: [cells[place] for place in kept] for name, cells in given.rows.items()},
        notes=(f"{given.path}: the columns {few(gone)} are no class, and left out",),
    )


def sums_to_one(given: Submitted, columns: Sequence[str]) -> bool:
    """Tell whether the cells of two columns or more are probabilities that sum to 1."""
    if len(columns) < 2:
        return False
    try:
        return sum_to_one(given.probabilities(columns=columns))
    except UsageError:  # text, or what is not finite
        return False


def _beside(given: Submitted, unknown: Sequence[str]) -> list[str]:
    """Return those of the unknown columns that have a role beside the predictions."""
    gone = list(filter(is_index, unknown))
    if _sum_without(given, gone):
        return gone
    fold = fold_column(given.path, unknown)
    gone += [name for name in unknown if name == fold or is_split(name)]
    truth = [name for name in unknown if is_beside(name) and name not in gone]
    return gone + truth if _sum_without(given, gone + truth) else gone


def _sum_without(given: Submitted, gone: Collection[str]) -> bool:
    """Tell whether the rows sum to 1 without some columns."""
    return sums_to_one(given, [name for name in given.columns if name not in gone])
