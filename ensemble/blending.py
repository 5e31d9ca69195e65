"""Composing what comes before a blend: out-of-fold predictions, and weights tuned on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from ensemble import gate, metrics
from ensemble import oof as files
from ensemble.arrays import Indices
from ensemble.config import Recipe, check_recipe
from ensemble.errors import ContractError, UsageError, few
from ensemble.images import Hashed
from ensemble.lineup import Player
from ensemble.metrics import Metric, Score
from ensemble.oof import Oof
from ensemble.paths import load_object
from ensemble.pools import Stack
from ensemble.predict import Progress
from ensemble.publish import Entry
from ensemble.scoring import Planned, Quiet, find_images, line_up, plan, score
from ensemble.session import check_device
from ensemble.spec import Quarantined, Task
from ensemble.tables import column_of
from ensemble.tuning.evidence import (
    Tuned,
    error_correlations,
    fits_of,
    leave_one_out,
    tune,
)
from ensemble.weights import Decision, Polish, Pool, Weights


@dataclass(frozen=True, slots=True)
class TuneOrder:
    """What weights are to be tuned on, and for what.

    `files` are OOF files with the name of their family, or None for those that the file names.
    `folds` is a CSV with `id` and `fold`; None takes the folds of the files. `group` is a column
    of the labels. `pool` None takes the metric's default.
    """

    files: Sequence[tuple[str | None, Path]]
    labels: Path
    metric: str
    label_column: str = "label"
    folds: Path | None = None
    group: str | None = None
    pool: Pool | None = None
    polish: Polish = "auto"


def predict_oof(recipe: Recipe, folds: Path, progress: Progress | None = None) -> Oof:
    """Predict each training image by the members that did not see it.

    Args:
        recipe: Members, images, views, and how to run them.
        folds: A CSV with the columns `id` and `fold`.
        progress: Told how far it is.

    Returns:
        The predictions in the order of the images; `quarantined` has the images without one.

    Raises:
        UsageError: images without a fold, or the reverse; a family without a member of a fold.
        EnsembleError: as for a run.
    """
    progress = progress or Quiet()
    shares, fold_of = _shares(recipe, folds, progress)
    entries: list[Entry] = []
    for blind, rows in shares:
        entries += score(recipe, blind, rows, progress)[0]
    return _stitched(entries, list(fold_of), fold_of)


def plan_oof(recipe: Recipe, folds: Path, progress: Progress | None = None) -> list[Planned]:
    """Return what `predict_oof` would do, for each member; nothing is written.

    Raises:
        UsageError: as for `predict_oof`.
        EnsembleError: as for a run.
    """
    shares, _ = _shares(recipe, folds, progress or Quiet())
    return [planned for blind, rows in shares for planned in plan(recipe, blind, rows)]


def _shares(
    recipe: Recipe, folds: Path, progress: Progress
) -> tuple[list[tuple[list[Player], list[Hashed]]], dict[str, int]]:
    """Return for each fold the members that did not see it with its images; and every id's fold."""
    check_recipe(recipe)
    check_device(recipe.device)
    players = line_up(replace(recipe, weights=None, on_nan="fail"), progress)
    images, _ = find_images(recipe, progress)
    fold_of = _folds_of(folds, images)
    _check_coverage(players, fold_of)
    shares = []
    for fold in sorted(set(fold_of.values())):
        rows = [image for image in images if fold_of[image.source.id] == fold]
        shares.append(([p for p in players if p.member.card.fold == fold], rows))
    return shares, {image.source.id: fold_of[image.source.id] for image in images}


def tune_weights(order: TuneOrder, progress: Progress | None = None) -> Weights:
    """Find the weights of families by their out-of-fold predictions, and what they are worth.

    Raises:
        UsageError: the files do not fit together, or the metric is not defined on them.
    """
    progress = progress or Quiet()
    joined = files.join([files.read(path, name) for name, path in order.files])
    if order.folds is not None:
        joined = replace(joined, folds=files.folds_from(order.folds, joined.ids))
    labels = column_of(order.labels, order.label_column)
    groups = None
    if order.group is not None:
        named = column_of(order.labels, order.group)
        groups = gate.groups_of(joined.ids, named, joined.folds)
    return weigh(joined, labels, order, groups, progress)


def weigh(
    oof: Oof,
    labels: Mapping[str, str],
    order: TuneOrder,
    groups: Indices | None,
    progress: Progress,
) -> Weights:
    """Tune weights on predictions that are in memory; see `tune_weights`."""
    if oof.task != "classification":
        raise UsageError(f"weights are tuned for classes only; these predictions are {oof.task}")
    metric = metric_named(order.metric, oof.task)
    if oof.rescaled:
        progress.warn(
            f"{oof.rescaled} rows do not sum to 1 exactly, as in float16 files: each is divided "
            f"by its sum"
        )
    y = gate.truth_of(oof.ids, labels, oof.classes)
    gate.check_rows(y, oof.classes, metric, oof.folds)
    names, stack = list(oof.families), np.stack(list(oof.families.values()))
    for note in gate.notes_of(names, stack, oof.folds):
        progress.warn(note)
    progress.start(fits_of(metric, oof.folds, order.pool, order.polish), 1, "fits")
    found = tune(
        stack,
        y,
        metric,
        folds=oof.folds,
        groups=groups,
        pool=order.pool,
        polish=order.polish,
        tick=progress.advance,
    )
    blend = found.blend
    return Weights(
        families={name: float(w) for name, w in zip(names, blend.weights, strict=True)},
        pool=blend.pool,
        temperature=blend.temperature,
        decision=Decision(
            prior_tau=blend.prior_tau,
            prior=() if blend.prior is None else tuple(blend.prior.tolist()),
            cut_points=() if blend.cut_points is None else tuple(blend.cut_points.tolist()),
        ),
        classes=oof.classes,
        members=oof.members,
        metric=metric.name,
        evidence={"rescaled": oof.rescaled, **_evidence(found, names, stack, y, metric)},
    )


def metric_named(name: str, task: Task) -> Metric:
    """Return a metric of the package, or the callable that pkg.mod:fn names; greater is better.

    Raises:
        UsageError: there is no such metric, or it is no function.
    """
    if ":" not in name:
        return metrics.metric_of(name, task)
    function = load_object(name, "--metric")
    if not callable(function):
        raise UsageError(f"--metric {name!r}: it is no function of (y, probs)")
    return Metric(name, cast(Score, function), True, task)


def _folds_of(table: Path, images: Sequence[Hashed]) -> dict[str, int]:
    listed = column_of(table, "fold")
    ids = [image.source.id for image in images]
    beyond = sorted(set(listed) - set(ids))
    if beyond:
        raise UsageError(f"{table}: {len(beyond)} ids have no image: {few(beyond)}")
    return dict(zip(ids, files.folds_of(ids, listed, table).tolist(), strict=True))


def _check_coverage(players: Sequence[Player], fold_of: Mapping[str, int]) -> None:
    """Check that each family has a member for each fold, and none for another."""
    held: dict[str, set[int]] = {}
    for card in (player.member.card for player in players):
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


def _stitched(entries: Sequence[Entry], ids: Sequence[str], fold_of: Mapping[str, int]) -> Oof:
    """Put each family's folds together, in the order of `ids`, without what any of them lacks."""
    lost: dict[str, Quarantined] = {}
    rows: dict[str, dict[str, np.ndarray]] = {}
    for entry in entries:
        held = entry.partition.read(entry.head.name)
        lost |= {q.id: q for q in held.quarantined}
        column = rows.setdefault(entry.family, {})
        if twice := column.keys() & set(held.ids):
            raise ContractError(f"family {entry.family} predicts {few(sorted(twice))} twice")
        column |= dict(zip(held.ids, held.probs, strict=True))
    kept = [name for name in ids if name not in lost]
    hashes: dict[str, list[str]] = {}
    for entry in entries:
        hashes.setdefault(entry.family, []).append(entry.sha256)
    head = entries[0].head
    return Oof(
        ids=tuple(kept),
        classes=head.classes,
        families={
            family: np.array([rows[family][name] for name in kept], np.float64).reshape(
                len(kept), len(head.classes)
            )
            for family in sorted(rows)
        },
        folds=np.array([fold_of[name] for name in kept], np.int64),
        members={family: tuple(hashes[family]) for family in sorted(hashes)},
        task=head.task,
        quarantined=tuple(lost.values()),
    )


def _evidence(
    found: Tuned, names: Sequence[str], stack: Stack, y: Indices, metric: Metric
) -> dict[str, object]:
    """Return the report as JSON-ready values."""
    seen, fitted = found.evidence, found.fitted
    singles = dict(zip(names, seen.singles.tolist(), strict=True))
    best = max(singles, key=lambda name: metric.gain(singles[name], 0.0))
    record: dict[str, object] = {
        "n": seen.rows,
        "folds": seen.folds,
        "singles": singles,
        "best_single": {"family": best, "score": singles[best]},
        "uniform": seen.uniform,
        "apparent": seen.apparent,
        "apparent_gain": seen.apparent_gain,
        "nested": seen.nested,
        "gain": None if seen.gain is None else seen.gain.value,
        "gain_ci95": None if seen.gain is None else [seen.gain.low, seen.gain.high],
        "p": None if seen.gain is None else seen.gain.p,
        "verdict": seen.verdict,
        "fitted": {
            "pool": fitted.pool,
            "weights": dict(zip(names, fitted.weights.tolist(), strict=True)),
            "temperature": fitted.temperature,
        },
        "error_correlations": error_correlations(stack, y).tolist(),
    }
    if len(names) > 1:
        losses = leave_one_out(stack, y, metric, fitted)
        record["loss_without"] = dict(zip(names, losses.tolist(), strict=True))
    return record
