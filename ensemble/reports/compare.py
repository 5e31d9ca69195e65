"""Where two submissions differ, joined by id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble.errors import UsageError, few
from ensemble.files.csv_tables import read_table
from ensemble.files.text_table import TableSource
from ensemble.html_table import html_table
from ensemble.submission.folder import submission_at


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """What differs between two submissions of the same ids.

    `changed` are the ids with another label, in the order of the first; the label of probabilities
    is the largest column, of equal ones the first in the first submission. `moves` counts each
    (label of the first, label of the second), the most frequent first. `largest` is the largest
    difference of a probability, None for labels.
    """

    rows: int
    changed: tuple[str, ...]
    moves: Mapping[tuple[str, str], int]
    largest: float | None

    def __repr__(self) -> str:
        return f"<Difference: {len(self.changed)} of {self.rows} rows have another label>"

    def _repr_html_(self) -> str:
        rows = [(before, after, count) for (before, after), count in self.moves.items()]
        return html_table(repr(self)[1:-1], ("from", "to", "rows"), rows)


def compare(first: TableSource, second: TableSource) -> Difference:
    """Compare two submissions, of labels or of a probability a class.

    Args:
        first: A submission, or the folder of a run.
        second: Another; its columns may stand in another order.

    Raises:
        UsageError: they name other ids or columns, hold no rows, or numbers that are not finite.
    """
    one, two = _read(submission_at(first)), _read(submission_at(second))
    if sorted(one.columns) != sorted(two.columns):
        raise UsageError(
            f"{first} and {second} have other columns: {few(one.columns)} and {few(two.columns)}"
        )
    odd = sorted(one.rows.keys() ^ two.rows.keys())
    if odd:
        raise UsageError(f"{first} and {second} name other ids: {few(odd)}")
    ids, columns = list(one.rows), one.columns
    if len(columns) == 1:
        largest = None
        labels = [(one.rows[name][0], two.rows[name][0]) for name in ids]
    else:
        p, q = one.numbers(ids, columns), two.numbers(ids, columns)
        largest = float(np.abs(p - q).max())
        labels = [(columns[a], columns[b]) for a, b in zip(p.argmax(1), q.argmax(1), strict=True)]
    changed = tuple(name for name, (a, b) in zip(ids, labels, strict=True) if a != b)
    moves = Counter(pair for pair in labels if pair[0] != pair[1])
    ordered = dict(sorted(moves.items(), key=lambda move: (-move[1], move[0])))
    return Difference(len(ids), changed, ordered, largest)


@dataclass(frozen=True, slots=True)
class _Table:
    """A submission: its columns after the id, and each id's cells."""

    path: TableSource
    columns: tuple[str, ...]
    rows: Mapping[str, list[str]]

    def numbers(self, ids: Sequence[str], columns: Sequence[str]) -> NDArray[np.float64]:
        """Return the cells as float64 (N, C), in the order of the ids and columns."""
        order = [self.columns.index(name) for name in columns]
        try:
            found = np.array([[float(self.rows[i][c]) for c in order] for i in ids])
        except ValueError as error:
            raise UsageError(f"{self.path}: probabilities are numbers: {error}") from error
        odd = np.flatnonzero(~np.isfinite(found).all(1))
        if odd.size:
            names = few([ids[row] for row in odd.tolist()])
            raise UsageError(f"{self.path}: probabilities are finite; those of {names} are not")
        return found


def _read(path: TableSource) -> _Table:
    header, body = read_table(path)
    rows = {row[0]: row[1:] for row in body}
    if len(header) < 2 or not rows or len(rows) < len(body):
        raise UsageError(f"{path}: expected an id column, another, and rows of different ids")
    return _Table(path, tuple(header[1:]), rows)
