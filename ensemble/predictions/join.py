"""Files of predictions joined: rows by id and columns by class name, never by position."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ensemble.arrays import Indices, Pooled, Probs
from ensemble.errors import UsageError, few
from ensemble.predictions.table import Predictions
from ensemble.records import Quarantined


def join(parts: Sequence[Predictions]) -> Predictions:
    """Join files of predictions by id and class name; families come sorted by name.

    Raises:
        UsageError: files that name other ids, classes or folds, or a family twice.
    """
    alike = [_laid_out_as(parts[0], part) for part in parts]
    joined = replace(parts[0], folds=None)
    families: dict[str, Probs | Pooled] = {}
    members: dict[str, tuple[str, ...]] = {}
    views: dict[str, str] = {}
    lost: dict[str, Quarantined] = {}
    for part in alike:
        joined = replace(joined, folds=_folds_with(joined, part))
        if twice := families.keys() & part.families.keys():
            raise UsageError(f"family {min(twice)!r} is given twice: name one NAME=FILE")
        families |= part.families
        members |= part.members
        views |= part.views
        lost |= {q.id: q for q in part.quarantined}
    return replace(
        joined,
        families=dict(sorted(families.items())),
        members=members,
        views=views,
        quarantined=tuple(lost.values()),
        rescaled=sum(part.rescaled for part in parts),
        notes=tuple(note for part in parts for note in part.notes),
        deployed=any(part.deployed for part in parts),
        ordered=all(part.ordered for part in alike),
    )


def _laid_out_as(first: Predictions, part: Predictions) -> Predictions:
    """Return `part` with the rows and columns of `first`; not `ordered` if its columns moved."""
    rows, columns = _rows_as(first, part), _columns_as(first, part)
    return replace(
        part,
        ids=first.ids,
        classes=first.classes,
        families={name: probs[rows][:, columns] for name, probs in part.families.items()},
        folds=None if part.folds is None else part.folds[rows],
        ordered=part.ordered and part.classes == first.classes,
    )


def _rows_as(first: Predictions, part: Predictions) -> Indices:
    """Return the rows of `part` in the order of the ids of `first`."""
    place = {name: row for row, name in enumerate(part.ids)}
    lacking = [i for i in first.ids if i not in place]
    beyond = sorted(set(part.ids) - set(first.ids))
    if lacking or beyond:
        raise UsageError(
            f"{few(list(first.families))} and {few(list(part.families))} predict other rows: only "
            f"the first has {few(lacking) or 'none'}; only the second has {few(beyond) or 'none'}"
        )
    return np.array([place[i] for i in first.ids], np.int64)


def _columns_as(first: Predictions, part: Predictions) -> list[int]:
    if sorted(first.classes) != sorted(part.classes) or first.task != part.task:
        raise UsageError(
            f"{few(list(first.families))} and {few(list(part.families))} have other classes: "
            f"{few(first.classes)} and {few(part.classes)}"
        )
    return [part.classes.index(c) for c in first.classes]


def _folds_with(joined: Predictions, part: Predictions) -> Indices | None:
    """Return the folds of what was joined, or of `part`, whose rows are the same."""
    if part.folds is None or joined.folds is None:
        return joined.folds if part.folds is None else part.folds
    odd = np.flatnonzero(joined.folds != part.folds)
    if odd.size:
        row = int(odd[0])
        raise UsageError(
            f"{few(list(part.families))} was split into other folds: {joined.ids[row]!r} is in "
            f"fold {part.folds[row]}, and in fold {joined.folds[row]} elsewhere"
        )
    return joined.folds
