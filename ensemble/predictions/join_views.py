"""Files of views that were kept apart, joined by id."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ensemble.errors import UsageError
from ensemble.label_map import LabelMap
from ensemble.predictions.kept_views import Costs, KeptTasks, KeptViews


def join_tasks_apart(parts: Sequence[KeptViews], label_map: LabelMap) -> KeptTasks:
    """Join the views of heads through a label map, a part for each head.

    Raises:
        UsageError: as for `join_views` of one head's; or heads of other rows or folds.
    """
    heads = sorted({(part.output, part.task, part.classes) for part in parts})
    apart = [[p for p in parts if (p.output, p.task, p.classes) == head] for head in heads]
    first, *others = map(join_views, apart)
    costs = first.costs
    for part in others:
        costs = _both(costs, part.costs)
    found = [replace(_rows_as(first, part), costs=costs) for part in (first, *others)]
    return KeptTasks(label_map, tuple(found))


def join_views(parts: Sequence[KeptViews]) -> KeptViews:
    """Join families of several files, row by row of the same ids.

    Of what an image and a start cost, the most counts.

    Raises:
        UsageError: files of other ids, classes, folds, heads or merges, or a family twice.
    """
    first, *others = parts
    for part in (_rows_as(first, other) for other in others):
        for what in ("classes", "output", "task", "merge"):
            if getattr(first, what) != getattr(part, what):
                raise UsageError(f"the files of --oof have another {what}: they cannot be joined")
        if twice := first.columns.keys() & part.columns.keys():
            raise UsageError(f"family {min(twice)!r} is in two files of --oof; leave one out")
        first = replace(
            first,
            columns={**first.columns, **part.columns},
            members={**first.members, **part.members},
            costs=_both(first.costs, part.costs),
        )
    return first


def _rows_as(first: KeptViews, part: KeptViews) -> KeptViews:
    """Return a part with its rows in the order of the first."""
    place = {name: row for row, name in enumerate(part.ids)}
    if place.keys() != set(first.ids):
        raise UsageError("the files of --oof predict other rows: give those of one image set")
    rows = np.array([place[name] for name in first.ids], np.int64)
    if (first.folds != part.folds[rows]).any():
        raise UsageError("the files of --oof were split into other folds")
    columns = {
        family: {view: probs[rows] for view, probs in views.items()}
        for family, views in part.columns.items()
    }
    return replace(part, ids=first.ids, folds=first.folds, columns=columns)


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
