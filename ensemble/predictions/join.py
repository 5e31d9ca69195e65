"""Files of predictions joined: rows by id and columns by class name, never by position."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import UsageError, apart, few
from ensemble.files.parquet import Floats, places, text_column
from ensemble.predictions.table import Predictions
from ensemble.records import Quarantined


def join(parts: Sequence[Predictions]) -> Predictions:
    """Join files of predictions by id and class name; families come sorted by name.

    Raises:
        UsageError: files that name other ids, classes or folds, or a family twice.
    """
    layouts = [layout_of(parts[0], part) for part in parts]
    families = {
        name: layout.of(probs)
        for part, layout in zip(parts, layouts, strict=True)
        for name, probs in part.families.items()
    }
    return replace(joined_rows(parts, layouts), families=dict(sorted(families.items())))


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the rows and columns of the first of several parts stand in another.

    `rows` int64 (N,) are None where the ids have the same order; `columns` are C places.
    """

    rows: Indices | None
    columns: list[int]

    def of(self, probs: Floats) -> Floats:
        """Return numbers (N, C) of the other part as the first would have them."""
        taken = probs if self.rows is None else probs[self.rows]
        return taken[:, self.columns]


def layout_of(first: Predictions, part: Predictions) -> Layout:
    """Return where the rows and columns of `first` stand in `part`; no numbers are read.

    Raises:
        UsageError: they name other ids or classes.
    """
    return Layout(_rows_as(first, part), _columns_as(first, part))


def joined_rows(parts: Sequence[Predictions], layouts: Sequence[Layout]) -> Predictions:
    """Return what several parts say of the same rows, with no families.

    Raises:
        UsageError: other folds, or a family twice.
    """
    joined = replace(parts[0], folds=None)
    families: set[str] = set()
    members: dict[str, tuple[str, ...]] = {}
    views: dict[str, str] = {}
    lost: dict[str, Quarantined] = {}
    for part, layout in zip(parts, layouts, strict=True):
        joined = replace(joined, folds=_folds_with(joined, part, layout))
        if twice := families & part.families.keys():
            raise UsageError(f"family {min(twice)!r} is given twice: name one NAME=FILE")
        families |= part.families.keys()
        members |= part.members
        views |= part.views
        lost |= {q.id: q for q in part.quarantined}
    return replace(
        joined,
        families={},
        members=members,
        views=views,
        quarantined=tuple(lost.values()),
        rescaled=sum(part.rescaled for part in parts),
        notes=tuple(note for part in parts for note in part.notes),
        deployed=any(part.deployed for part in parts),
        ordered=all(part.ordered and part.classes == joined.classes for part in parts),
    )


def _rows_as(first: Predictions, part: Predictions) -> Indices | None:
    """Return the rows of `part` in the order of the ids of `first`; None where it is the same."""
    if part.ids == first.ids:
        return None
    rows = places(text_column(first.ids), text_column(part.ids))
    if len(part.ids) == len(first.ids) and (rows >= 0).all():
        return rows
    lacking = [first.ids[row] for row in np.flatnonzero(rows < 0).tolist()]
    beyond = sorted(set(part.ids) - set(first.ids))
    raise UsageError(
        f"{few(list(first.families))} and {few(list(part.families))} predict other rows: "
        f"{apart(lacking, beyond)}. Give predictions of the same images"
    )


def _columns_as(first: Predictions, part: Predictions) -> list[int]:
    if sorted(first.classes) != sorted(part.classes) or first.task != part.task:
        raise UsageError(
            f"{few(list(first.families))} and {few(list(part.families))} have other classes: "
            f"{few(first.classes)} and {few(part.classes)}"
        )
    return [part.classes.index(c) for c in first.classes]


def _folds_with(joined: Predictions, part: Predictions, layout: Layout) -> Indices | None:
    """Return the folds of what was joined, or of `part`, whose rows are the same."""
    if part.folds is None:
        return joined.folds
    folds = part.folds if layout.rows is None else part.folds[layout.rows]
    if joined.folds is None:
        return folds
    odd = np.flatnonzero(joined.folds != folds)
    if odd.size:
        row = int(odd[0])
        raise UsageError(
            f"{few(list(part.families))} was split into other folds: {joined.ids[row]!r} is in "
            f"fold {folds[row]}, and in fold {joined.folds[row]} elsewhere"
        )
    return joined.folds
