"""Out-of-fold predictions with each view kept apart, and what each costs: `oof --keep-views`.

Each view of a member is a policy of its own, with a key of its own in the store: what one view has
is there for any policy that is asked for later. One fold's members are started at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Probs
from ensemble.errors import ContractError, few
from ensemble.files.atomic import check_writable, free_bytes, remove_temporaries
from ensemble.files.paths import expand
from ensemble.files.text_table import TableSource
from ensemble.images.reading import Hashed
from ensemble.inference.costs import (
    Clock,
    Timed,
    costs_of,
    image_seconds,
    threads_of,
    timed,
)
from ensemble.inference.executors.started import check_alone
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.forecast import forecast_members
from ensemble.inference.held_images import hold_on_images
from ensemble.inference.score import score_into_store
from ensemble.inference.start import open_members
from ensemble.inference.start_members import start_members
from ensemble.members.fetched import local_members
from ensemble.pipeline.device import settled
from ensemble.pipeline.oof import OofPlan, check_coverage, folds_by_id, unweighed
from ensemble.predictions.kept_views import Costs, KeptTasks, KeptViews
from ensemble.predictions.stored import StoredPredictions, by_head
from ensemble.predictions.views_file import save
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Quarantined
from ensemble.views.families import spelled, views_told


def predict_views(
    settings: Settings,
    folds: TableSource,
    progress: Progress | None = None,
    *,
    out: Path | None = None,
) -> KeptViews | KeptTasks:
    """Predict each training image by the members that did not see it, under each view apart.

    Args:
        settings: Members, images, views, and how to run them.
        folds: As for `predict_oof`.
        progress: Told how far it is.
        out: The Parquet to write, its quarantine beside it; None writes none.

    Raises:
        UsageError: as for `predict_oof`; or a merge that needs logits.
        EnsembleError: as for a run.
    """
    progress = progress or Quiet()
    if out is not None:
        check_writable(out.parent, "--out")
        remove_temporaries(out.parent, f"{out.stem}.")
    work = _work_of(settings, folds, progress)
    scored = _scored(work, progress)
    parts = _stitched(scored.entries, work.fold_of, work.recipe)
    parts = [replace(part, costs=scored.costs()) for part in parts]
    if out is not None:
        save(out, parts)
    label_map = work.recipe.inputs.label_map
    return parts[0] if label_map is None else KeptTasks(label_map, tuple(parts))


def plan_views(
    settings: Settings, folds: TableSource, out: Path, progress: Progress | None = None
) -> OofPlan:
    """Return what `predict_views` would do, a line a member and view; nothing is written.

    Raises:
        EnsembleError: as for `predict_views`.
    """
    progress = progress or Quiet()
    check_writable(out.parent, "--out")
    work = _work_of(settings, folds, progress, dry=True)
    members = [
        planned
        for fold, rows in work.shares()
        for planned in forecast_members(
            work.recipe, start_members(work.recipe, progress, fold=fold), image_set_of(rows)
        )
    ]
    return OofPlan(out, tuple(members), free_bytes(work.recipe.resources.store))


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be scored: the images, and each id's fold."""

    recipe: Recipe
    images: Sequence[Hashed]
    fold_of: Mapping[str, int]

    def shares(self) -> list[tuple[int, list[Hashed]]]:
        """Return each fold with its images."""
        return [
            (fold, [image for image in self.images if self.fold_of[image.source.id] == fold])
            for fold in sorted(set(self.fold_of.values()))
        ]


def _work_of(
    settings: Settings, folds: TableSource, progress: Progress, *, dry: bool = False
) -> _Work:
    """Do all that may refuse the work before its first member starts."""
    recipe = unweighed(settled(resolve(replace(settings, keep_views=True))))
    check_alone(recipe)
    store = recipe.resources.store
    paths = expand(local_members(recipe.inputs.members, store), ".onnx", "member")
    opened = open_members(paths, recipe.inputs.head, label_map=recipe.inputs.label_map)
    cards = [member.card for member in opened]
    images, _ = find_images(
        recipe.inputs, recipe.resources.threads, progress, None if dry else store
    )
    fold_of = folds_by_id(folds, images, recipe.inputs.id_col, progress)
    check_coverage(cards, fold_of)
    return _Work(recipe, images, fold_of)


@dataclass(slots=True)
class _Scored:
    """What the folds gave, and what was measured on the way."""

    entries: list[StoredPredictions] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    images: list[float] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)

    def costs(self) -> Costs:
        """Return the medians of what was measured."""
        return costs_of(self.starts, self.images, self.timed)


def _scored(work: _Work, progress: Progress) -> _Scored:
    """Score each fold's rows with its members, a view at a time, and measure what that costs."""
    found, recipe = _Scored(), work.recipe
    for fold, rows in work.shares():
        listener = Quiet() if found.entries else progress  # the same would be told of each fold
        began = Clock.now()
        ready = start_members(recipe, listener, fold=fold)
        found.starts.append(began.since(threads_of(recipe), ready[0]) / len(ready))
        hold_on_images(recipe, ready, rows, listener)
        found.entries += score_into_store(recipe, ready, image_set_of(rows), progress)[0]
        found.images.append(image_seconds(recipe, ready, rows))
        found.timed += [timed(each) for each in ready]
    return found


def _stitched(
    entries: Sequence[StoredPredictions], fold_of: Mapping[str, int], recipe: Recipe
) -> list[KeptViews]:
    """Put each head's folds together view by view, without the images that any of them lacks."""
    apart = [(own[0].head, *_rows_of(own), own) for own in by_head(entries)]
    lost = {name: each for _, _, absent, _ in apart for name, each in absent.items()}
    kept = [name for name in fold_of if name not in lost]
    return [
        KeptViews(
            ids=tuple(kept),
            classes=head.classes,
            columns={
                family: {view: _column(found, kept, len(head.classes))
                         for view, found in views.items()}
                for family, views in sorted(rows.items())
            },
            folds=np.array([fold_of[name] for name in kept], np.int64),
            members=_members_of(own),
            merge=recipe.scoring.merge,
            task=head.task,
            output=head.name,
            quarantined=tuple(lost.values()),
            ordinal=head.ordinal,
        )
        for head, rows, _, own in apart
    ]  # fmt: skip


def _column(found: Mapping[str, Probs], kept: Sequence[str], classes: int) -> NDArray[np.float32]:
    rows = np.array([found[name] for name in kept], np.float32)
    return rows.reshape(len(kept), classes)


def _members_of(entries: Sequence[StoredPredictions]) -> dict[str, dict[int, str]]:
    members: dict[str, dict[int, str]] = {}
    for entry in entries:
        if entry.member.fold is not None:
            members.setdefault(entry.member.family, {})[entry.member.fold] = entry.member.sha256
    return dict(sorted(members.items()))


def _rows_of(
    entries: Sequence[StoredPredictions],
) -> tuple[dict[str, dict[str, dict[str, Probs]]], dict[str, Quarantined]]:
    """Return rows by family, view and id, float32 (C,), and the images that some member lacks."""
    lost: dict[str, Quarantined] = {}
    rows: dict[str, dict[str, dict[str, Probs]]] = {}
    for entry in entries:
        held = entry.partition.read(entry.head.name)
        lost |= {q.id: q for q in held.quarantined}
        view = spelled(views_told(entry.partition.fingerprint["views"]))
        column = rows.setdefault(entry.member.family, {}).setdefault(view, {})
        if twice := column.keys() & set(held.ids):
            raise ContractError(f"family {entry.member.family} predicts {few(sorted(twice))} twice")
        column |= dict(zip(held.ids, held.probs, strict=True))
    return rows, lost
