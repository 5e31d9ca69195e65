"""Where two submissions differ, joined by id."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensemble.errors import UsageError, few
from ensemble.tables import read_table


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two submissions of the same ids.

    `changed` are the ids with another label (of probabilities: another largest column), in the
    order of the first; `moves` counts each (label of the first, label of the second), the most
    frequent first. `largest` is the largest difference of a probability, None for labels.
    """

    rows: int
    changed: tuple[str, ...]
    moves: Mapping[tuple[str, str], int]
    largest: float | None


def compare(first: Path, second: Path) -> Difference:
    """Compare two submissions, of labels or of a probability a class.

    Raises:
        UsageError: they name other ids or columns, or hold no rows.
    """
    one, two = _read(first), _read(second)
    if sorted(one.columns) != sorted(two.columns):
        raise UsageError(
            f"{first} and {second} have other columns: {few(one.columns)} and {few(two.columns)}"
        )
    odd = sorted(one.rows.keys() ^ two.rows.keys())
    if odd:
        raise UsageError(f"{first} and {second} name other ids: {few(odd)}")
    labels = [(one.label(name), two.label(name)) for name in one.rows]
    changed = tuple(n for n, (a, b) in zip(one.rows, labels, strict=True) if a != b)
    moves = Counter(pair for pair in labels if pair[0] != pair[1])
    return Difference(
        rows=len(one.rows),
        changed=changed,
        moves=dict(sorted(moves.items(), key=lambda move: (-move[1], move[0]))),
        largest=None if len(one.columns) == 1 else _largest(one, two),
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """A submission: its columns after the id, and each id's cells."""

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[str, list[str]]

    def label(self, name: str) -> str:
        if len(self.columns) == 1:
            return self.rows[name][0]
        return self.columns[int(np.argmax(self.numbers(name)))]

    def numbers(self, name: str) -> list[float]:
        try:
            found = [float(cell) for cell in self.rows[name]]
        except ValueError as error:
            raise UsageError(f"{self.path}: probabilities are numbers: {error}") from error
        if not all(map(math.isfinite, found)):
            raise UsageError(f"{self.path}: expected finite numbers for {name!r}, found {found}")
        return found


def _read(path: Path) -> _Table:
    header, body = read_table(path)
    rows = {row[0]: row[1:] for row in body}
    if len(header) < 2 or not rows or len(rows) < len(body):
        raise UsageError(f"{path}: expected an id column, another, and rows of different ids")
    return _Table(path, tuple(header[1:]), rows)


def _largest(one: _Table, two: _Table) -> float:
    order = [two.columns.index(name) for name in one.columns]
    return max(
        abs(a - b)
        for name in one.rows
        for a, b in zip(one.numbers(name), [two.numbers(name)[c] for c in order], strict=True)
    )
