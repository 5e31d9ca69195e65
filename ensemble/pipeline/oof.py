"""Out-of-fold predictions: each training image by the members that did not see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ensemble.arrays import Probs
from ensemble.errors import ContractError, UsageError, few
from ensemble.evaluation.folds import folds_of, listed_folds
from ensemble.files.atomic import check_writable, free_bytes, remove_temporaries
from ensemble.files.text_table import TableSource
from ensemble.images.reading import Hashed
from ensemble.inference.executors.started import (
    StartedMembers,
    alone,
    recipe_places,
    started_members,
    warn_of_cluster,
)
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.forecast import MemberForecast, forecast_members, shared_out
from ensemble.inference.held_images import hold_on_images
from ensemble.inference.ready import ReadyMember
from ensemble.inference.score import score_into_store
from ensemble.label_map import LabelMap
from ensemble.members.card import Card
from ensemble.pipeline.device import settled
from ensemble.predictions.stored import StoredPredictions, by_head, views_of
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.progress import Listener, Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Quarantined, hashes_of


def predict_oof(
    settings: Settings,
    folds: TableSource,
    progress: Progress | None = None,
    *,
    out: Path | None = None,
) -> Predictions | TaskPredictions:
    """Predict each training image by the members that did not see it.

    Args:
        settings: Members, images, views, and how to run them.
        folds: A CSV with an id column (`id`, or the one that holds the images' ids, or what
            `id_col` of the settings says) and a column `fold` or `kfold`.
        progress: Told how far it is.
        out: The OOF Parquet to write, its quarantine beside it; None writes none.

    Returns:
        The predictions in the order of the images; `quarantined` has the images without one. With
        a label map those of every head that answers a task.

    Raises:
        UsageError: images without a fold, or the reverse; a family without a member of a fold.
        EnsembleError: as for a run.
    """
    progress, recipe = progress or Quiet(), settled(resolve(settings))
    if out is not None:
        check_writable(out.parent, "--out")
        remove_temporaries(out.parent, f"{out.stem}.")
    entries: list[StoredPredictions] = []
    with started_members(unweighed(recipe), progress) as started:
        shares, fold_of = _shares(recipe, started, folds, progress, recipe.resources.store)
        for blind, rows in shares:
            images = image_set_of(rows)
            entries += score_into_store(recipe, blind, images, progress, started.dispatcher)[0]
    if recipe.inputs.label_map is not None:
        tasks = _tasks(entries, fold_of, recipe.inputs.label_map)
        if out is not None:
            tasks.save(out)
        return tasks
    found = _stitched(entries, list(fold_of), fold_of)
    if out is not None:
        found.save(out)
    return found


def _tasks(
    entries: Sequence[StoredPredictions], fold_of: Mapping[str, int], label_map: LabelMap
) -> TaskPredictions:
    """Put each head's predictions together, and join them."""
    parts = [_stitched(own, list(fold_of), fold_of) for own in by_head(entries)]
    return join_tasks(parts, label_map)


@dataclass(frozen=True, slots=True)
class OofPlan:
    """What `predict_oof` would do: the file, each member's work, and what the disk has left.

    `workers` are the processes that would score, none where this one would.
    """

    out: Path
    members: tuple[MemberForecast, ...]
    free: int
    workers: tuple[str, ...] = ()


def plan_oof(
    settings: Settings, folds: TableSource, out: Path, progress: Progress | None = None
) -> OofPlan:
    """Return what `predict_oof` would do; nothing is written.

    Raises:
        UsageError: as for `predict_oof`.
        EnsembleError: as for a run.
    """
    check_writable(out.parent, "--out")
    recipe, progress = settled(resolve(settings)), progress or Quiet()
    places = recipe_places(recipe)
    warn_of_cluster(recipe, progress)
    with started_members(alone(unweighed(recipe)), progress) as started:
        shares, _ = _shares(recipe, started, folds, progress, None)
        members = [
            planned
            for blind, rows in shares
            for planned in forecast_members(recipe, blind, image_set_of(rows), len(places))
        ]
    members, names = shared_out(members, places), tuple(place.name for place in places)
    return OofPlan(out, tuple(members), free_bytes(recipe.resources.store), names)


def unweighed(recipe: Recipe) -> Recipe:
    """Return a recipe for out-of-fold predictions: nobody is dropped, and nothing is weighed.

    Raises:
        UsageError: members that give NaN were to be dropped.
    """
    if recipe.scoring.on_nan != "fail":
        raise UsageError(
            f"on_nan {recipe.scoring.on_nan!r}: out of fold each row has one member of a family, "
            f"so none can be dropped; leave it out, and mend the member that gives NaN"
        )
    return replace(recipe, fusion=replace(recipe.fusion, weights=None))


def _shares(
    recipe: Recipe,
    started: StartedMembers,
    folds: TableSource,
    progress: Progress,
    store: Path | None,
) -> tuple[list[tuple[list[ReadyMember], list[Hashed]]], dict[str, int]]:
    """Return for each fold the members that did not see it with its images; and every id's fold."""
    ready_members = started.members
    images, _ = find_images(recipe.inputs, recipe.resources.threads, progress, store)
    fold_of = folds_by_id(folds, images, recipe.inputs.id_col, progress)
    check_coverage([ready.member.card for ready in ready_members], fold_of)
    if started.dispatcher is None:  # workers hold their own members
        hold_on_images(recipe, ready_members, images, progress)
    shares = []
    for fold in sorted(set(fold_of.values())):
        rows = [image for image in images if fold_of[image.source.id] == fold]
        shares.append(([p for p in ready_members if p.member.card.fold == fold], rows))
    return shares, {image.source.id: fold_of[image.source.id] for image in images}


def folds_by_id(
    table: TableSource, images: Sequence[Hashed], id_column: str | None, listener: Listener
) -> dict[str, int]:
    """Return the fold of each image by its id.

    Raises:
        UsageError: an image without a fold, or a row of the table without an image.
    """
    ids = [image.source.id for image in images]
    listed = listed_folds(table, id_column, ids, listener.warn)
    beyond = sorted(set(listed) - set(ids))
    if beyond:
        raise UsageError(f"{table}: {len(beyond)} ids have no image: {few(beyond)}")
    return dict(zip(ids, folds_of(ids, listed, table).tolist(), strict=True))


def check_coverage(cards: Sequence[Card], fold_of: Mapping[str, int]) -> None:
    """Check that each family has a member for each fold, and none for another."""
    held: dict[str, set[int]] = {}
    for card in cards:
        if card.fold is None:
            raise UsageError(
                f"member {card.name} has no fold in its card: it may have seen every row, so it "
                f"cannot predict out of fold. Export it with --fold"
            )
        held.setdefault(card.family, set()).add(card.fold)
    examples = {fold: name for name, fold in fold_of.items()}
    for family, folds in held.items():
        lacking, beyond = sorted(set(examples) - folds), sorted(folds - set(examples))
        if lacking:
            raise UsageError(
                f"family {family} has no member of fold {lacking[0]}: nobody can predict "
                f"{examples[lacking[0]]!r}, for one"
            )
        if beyond:
            raise UsageError(
                f"family {family} has a member of fold {beyond[0]}; the folds are "
                f"{few(sorted(examples))}"
            )


def _stitched(
    entries: Sequence[StoredPredictions], ids: Sequence[str], fold_of: Mapping[str, int]
) -> Predictions:
    """Put each family's folds together, in the order of `ids`, without what any of them lacks."""
    rows, lost = _rows_of(entries)
    kept = [name for name in ids if name not in lost]
    head = entries[0].head
    return Predictions(
        ids=tuple(kept),
        classes=head.classes,
        families={
            family: np.array([rows[family][name] for name in kept], np.float64).reshape(
                len(kept), len(head.classes)
            )
            for family in sorted(rows)
        },
        folds=np.array([fold_of[name] for name in kept], np.int64),
        members=dict(sorted(hashes_of(entry.member for entry in entries).items())),
        task=head.task,
        quarantined=tuple(lost.values()),
        output=head.name,
        ordinal=head.ordinal,
        views=dict(sorted(views_of(entries).items())),
    )


def _rows_of(
    entries: Sequence[StoredPredictions],
) -> tuple[dict[str, dict[str, Probs]], dict[str, Quarantined]]:
    """Return each family's rows by id, float32 (C,), and the images that some member lacks."""
    lost: dict[str, Quarantined] = {}
    rows: dict[str, dict[str, Probs]] = {}
    for entry in entries:
        held = entry.partition.read(entry.head.name)
        lost |= {q.id: q for q in held.quarantined}
        column = rows.setdefault(entry.member.family, {})
        if twice := column.keys() & set(held.ids):
            raise ContractError(f"family {entry.member.family} predicts {few(sorted(twice))} twice")
        column |= dict(zip(held.ids, held.probs, strict=True))
    return rows, lost
