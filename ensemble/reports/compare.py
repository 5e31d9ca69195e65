"""Where two submissions differ, joined by id."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ensemble.errors import UsageError, few
from ensemble.files.columns import said_where_there
from ensemble.files.csv_tables import read_table
from ensemble.files.text_table import TableSource
from ensemble.html_table import html_table
from ensemble.predictions.run_told import told_by_run
from ensemble.reports.submitted import Submitted, predicted_columns, read_submission
from ensemble.submission.folder import submission_at

Pair: TypeAlias = tuple[str, str]
"""The label of the first submission, and of the second."""


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """What differs between two submissions of the same ids.

    `changed` are the ids with another label, in the order of the first; the label of probabilities
    is the largest column, of equal ones the first in the first submission. Of one column of values,
    `changed` are those with another value; of several tasks, with another label of any. `moves`
    counts each (label of the first, label of the second), the most frequent first: of tasks with
    their names, of values none. `largest` is the largest difference of a probability or a value,
    None for labels. `notes` are what a person should know; `what` is what the rows hold, label or
    value.
    """

    rows: int
    changed: tuple[str, ...]
    moves: Mapping[tuple[str, str], int]
    largest: float | None
    notes: tuple[str, ...] = ()
    what: str = "label"

    def __repr__(self) -> str:
        return f"<Difference: {len(self.changed)} of {self.rows} rows have another {self.what}>"

    def _repr_html_(self) -> str:
        rows = [(before, after, count) for (before, after), count in self.moves.items()]
        return html_table(repr(self)[1:-1], ("from", "to", "rows"), rows)


def compare(first: TableSource, second: TableSource, id_column: str | None = None) -> Difference:
    """Compare two submissions of one form: labels, values, a probability a class, tasks, or melted.

    Args:
        first: A submission, or the folder of a run.
        second: Another; its columns may stand in another order.
        id_column: The column of the ids, in one of them or both; None takes `id`, the one that
            holds the ids of a run, or the first.

    Raises:
        UsageError: they name other ids or columns, hold no rows, or numbers that are not finite.
    """
    one, two = map(predicted_columns, _read((first, second), id_column))
    _check_alike(one, two, f"{first} and {second}")
    notes = (*one.notes, *two.notes)
    if one.has_values and two.has_values:
        return _of_values(one, two, notes)
    labels, largest = (_task_labels(one, two), None) if one.has_tasks else _labels(one, two)
    moved = {name: _moved(pairs) for name, pairs in zip(one.rows, labels, strict=True)}
    moves = Counter(itertools.chain.from_iterable(moved.values()))
    ordered = dict(sorted(moves.items(), key=lambda move: (-move[1], move[0])))
    return Difference(len(moved), tuple(filter(moved.get, moved)), ordered, largest, notes)


def _read(both: tuple[TableSource, TableSource], said: str | None) -> Iterator[Submitted]:
    """Read two submissions; the ids of a run, where one is of a run, tell those of the other."""
    paths = [submission_at(path) for path in both]
    tables = [(path, read_table(path)[0]) for path in paths]
    known = next(filter(None, (told_by_run(path).ids for path in paths)), ())
    for path, its in zip(paths, said_where_there(said, tables), strict=True):
        yield read_submission(path, its, known)


def _check_alike(one: Submitted, two: Submitted, both: str) -> None:
    """Check that two submissions, which messages call `both`, have the same columns and ids."""
    if sorted(one.columns) != sorted(two.columns):
        raise UsageError(f"{both} have other columns: {few(one.columns)} and {few(two.columns)}")
    if odd := sorted(one.rows.keys() ^ two.rows.keys()):
        raise UsageError(f"{both} name other ids: {few(odd)}")


def _of_values(one: Submitted, two: Submitted, notes: tuple[str, ...]) -> Difference:
    """Compare two columns of values, joined by id."""
    ids = list(one.rows)
    away = np.abs(one.probabilities() - two.probabilities(ids))[:, 0]
    changed = tuple(name for name, size in zip(ids, away.tolist(), strict=True) if size)
    return Difference(len(ids), changed, {}, float(away.max()), notes, "value")


def _moved(pairs: Sequence[Pair]) -> list[Pair]:
    return [(before, after) for before, after in pairs if before != after]


def _task_labels(one: Submitted, two: Submitted) -> list[list[Pair]]:
    """Return each id's two labels for each task, with its name."""
    at = [two.columns.index(name) for name in one.columns]
    return [
        [(f"{task} {a}", f"{task} {two.rows[name][place]}")
         for task, a, place in zip(one.columns, cells, at, strict=True)]
        for name, cells in one.rows.items()
    ]  # fmt: skip


def _labels(one: Submitted, two: Submitted) -> tuple[list[list[Pair]], float | None]:
    """Return each id's two labels, and the largest difference of a probability, if there are any.

    Rows and columns are those of the first: the second may have them in another order.
    """
    ids, columns = list(one.rows), one.columns
    if one.has_labels:
        return [[(one.rows[name][0], two.rows[name][0])] for name in ids], None
    p, q = one.probabilities(), two.probabilities(ids, columns)
    both = zip(p.argmax(1), q.argmax(1), strict=True)
    return [[(columns[a], columns[b])] for a, b in both], float(np.abs(p - q).max())
