"""Files of views that were kept apart, joined by id."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ensemble.errors import UsageError
from ensemble.predictions.kept_views import Costs, KeptViews


def join_views(parts: Sequence[KeptViews]) -> KeptViews:
    """Join families of several files, row by row of the same ids.

    Of what an image and a start cost, the most counts.

    Raises:
        UsageError: files of other ids, classes, folds, heads or merges, or a family twice.
    """
    first, *others = parts
    for part in others:
        place = {name: row for row, name in enumerate(part.ids)}
        if place.keys() != set(first.ids):
            raise UsageError("the files of --oof predict other rows: give those of one image set")
        rows = np.array([place[name] for name in first.ids], np.int64)
        for what in ("classes", "output", "task", "merge"):
            if getattr(first, what) != getattr(part, what):
                raise UsageError(f"the files of --oof have another {what}: they cannot be joined")
        if (first.folds != part.folds[rows]).any():
            raise UsageError("the files of --oof were split into other folds")
        if twice := first.columns.keys() & part.columns.keys():
            raise UsageError(f"family {min(twice)!r} is in two files of --oof; leave one out")
        columns = {
            family: {view: probs[rows] for view, probs in views.items()}
            for family, views in part.columns.items()
        }
        first = replace(
            first,
            columns={**first.columns, **columns},
            members={**first.members, **part.members},
            costs=_both(first.costs, part.costs),
        )
    return first


def _both(one: Costs | None, other: Costs | None) -> Costs | None:
    if one is None or other is None:
        return None
    if one.provider != other.provider:
        raise UsageError(
            f"the files of --oof were made by {one.provider} and {other.provider}: what they "
            f"measured does not compare; make them on one device"
        )
    return Costs(
        max(one.session, other.session),
        max(one.image, other.image),
        {**one.evaluations, **other.evaluations},
        one.provider,
    )
