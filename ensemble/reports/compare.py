"""Where two submissions differ, joined by id."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ensemble.errors import UsageError, few
from ensemble.files.text_table import TableSource
from ensemble.html_table import html_table
from ensemble.reports.submitted import Submitted, predicted_columns, read_submission
from ensemble.submission.folder import submission_at


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """What differs between two submissions of the same ids.

    `changed` are the ids with another label, in the order of the first; the label of probabilities
    is the largest column, of equal ones the first in the first submission. `moves` counts each
    (label of the first, label of the second), the most frequent first. `largest` is the largest
    difference of a probability, None for labels. `notes` are what a person should know.
    """

    rows: int
    changed: tuple[str, ...]
    moves: Mapping[tuple[str, str], int]
    largest: float | None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Difference: {len(self.changed)} of {self.rows} rows have another label>"

    def _repr_html_(self) -> str:
        rows = [(before, after, count) for (before, after), count in self.moves.items()]
        return html_table(repr(self)[1:-1], ("from", "to", "rows"), rows)


def compare(first: TableSource, second: TableSource, id_column: str | None = None) -> Difference:
    """Compare two submissions, of labels or of a probability a class.

    Args:
        first: A submission, or the folder of a run.
        second: Another; its columns may stand in another order.
        id_column: The column of the ids; None takes `id`, or the first.

    Raises:
        UsageError: they name other ids or columns, hold no rows, or numbers that are not finite.
    """
    one, two = (
        predicted_columns(read_submission(submission_at(path), id_column))
        for path in (first, second)
    )
    if sorted(one.columns) != sorted(two.columns):
        raise UsageError(
            f"{first} and {second} have other columns: {few(one.columns)} and {few(two.columns)}"
        )
    odd = sorted(one.rows.keys() ^ two.rows.keys())
    if odd:
        raise UsageError(f"{first} and {second} name other ids: {few(odd)}")
    labels, largest = _labels(one, two)
    changed = tuple(name for name, (a, b) in zip(one.rows, labels, strict=True) if a != b)
    moves = Counter(pair for pair in labels if pair[0] != pair[1])
    ordered = dict(sorted(moves.items(), key=lambda move: (-move[1], move[0])))
    return Difference(len(labels), changed, ordered, largest, (*one.notes, *two.notes))


def _labels(one: Submitted, two: Submitted) -> tuple[list[tuple[str, str]], float | None]:
    """Return each id's two labels, and the largest difference of a probability, if there are any.

    Rows and columns are those of the first: the second may have them in another order.
    """
    ids, columns = list(one.rows), one.columns
    if one.has_labels:
        return [(one.rows[name][0], two.rows[name][0]) for name in ids], None
    p, q = one.probabilities(), two.probabilities(ids, columns)
    both = zip(p.argmax(1), q.argmax(1), strict=True)
    return [(columns[a], columns[b]) for a, b in both], float(np.abs(p - q).max())
