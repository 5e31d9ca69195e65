"""Composing a soup: checkpoints averaged to one member, held against the vote that it replaces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import ImageError, UsageError
from ensemble.evaluation.labels import read_truth
from ensemble.evaluation.metrics import Truth
from ensemble.export.int8 import normalised
from ensemble.export.loaded_net import LoadedNet, load_net
from ensemble.export.soup import Inputs, averaged, outputs, recalibrated
from ensemble.export.spec import ExportSpec, task_of
from ensemble.export.to_onnx import (
    Exported,
    check_absent,
    member_name,
    write_member,
)
from ensemble.images.reading import Hashed
from ensemble.inference.find import find_images
from ensemble.members.card import Card
from ensemble.pipeline.calibration_images import decoded, divide
from ensemble.pipeline.soup_agreement import SoupAgreement, compare_soup
from ensemble.pipeline.soup_order import SoupOrder, check_soup, soup_identity
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Preprocess, Task

CALIBRATING: Final = 512
"""Images that recalibrate batch norms, at most half of them."""

FEW: Final = 64
"""Below so many the statistics of batch norms are poor."""

BATCH: Final = 32

_NO_FOLD: Final = (
    "it has no fold, so it has no out-of-fold predictions, and no weights can be tuned on it: "
    "judge it on images that none of its parts was trained on, by --labels"
)


@dataclass(frozen=True, slots=True)
class _Of:
    """The rows and the columns that labels are read for."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    task: Task


@dataclass(frozen=True, slots=True)
class _Judged:
    """What nets give on images: `places` of those that can be used, and by net and head (N, C)."""

    places: Indices
    nets: Sequence[Sequence[Pooled]]


def export_soup(order: SoupOrder, out: Path, progress: Progress) -> Exported:
    """Average checkpoints to `out/<family>-soup-f<fold>.onnx`, proven against torch.

    Images recalibrate or judge by the hash of their bytes, so neither names nor order matter. The
    fold is that of the checkpoints where all have the same, and else there is none. The notes tell
    how the soup compares with the vote of its parts; warnings tell why it should not replace it.

    Raises:
        UsageError: fewer than two checkpoints, families that differ, images or labels that do not
            go together with them, or a member that is there already.
        MemberError: as `to_onnx.export_member`, or a net fails on the images. No file is written.
        StoreError: the disk refused the member.
    """
    check_soup(order)
    identity = soup_identity(order.checkpoints, order.spec)
    check_absent([member_name(*identity)], out, force=order.force)
    parts = [load_net(path, order.spec) for path in order.checkpoints]
    soup = averaged(parts)
    recipe = resolve(Settings((), order.images, id_col=order.id_column, device="cpu"))
    found, _ = find_images(recipe.inputs, recipe.resources.threads, progress)
    calibrating, judging = divide(found, CALIBRATING)
    truth = _truth(order, judging, progress)
    heads = order.spec.head_names
    count = _recalibrate(soup, heads, _inputs(calibrating, soup.preprocess, recipe), progress)
    judged = _judge([soup, *parts], order.spec, judging, recipe, progress)
    agreements: list[SoupAgreement] = []

    def told(card: Card) -> Mapping[str, str | float]:
        agreements.extend(_compare(card, judged, truth))
        said: dict[str, str | float] = {"recalibrated_on": count} if count else {}
        said["judged_on"] = len(judged.places)
        return said | {k: v for agreement in agreements for k, v in agreement.source.items()}

    exported = write_member(soup, order.spec, out, identity, judge=told)
    for agreement in agreements:
        for warning in agreement.warnings:
            progress.warn(warning)
    own = (*map(str, agreements), *([_NO_FOLD] if identity[1] is None else []))
    return replace(exported, notes=(*exported.notes, *own))


def _truth(order: SoupOrder, judging: Sequence[Hashed], progress: Progress) -> Truth | None:
    """Read the labels of the images that judge, a row each."""
    if order.labels is None:
        return None
    head = order.spec.heads[0]
    of = _Of(tuple(image.source.id for image in judging), head.classes, task_of(order.spec, head))
    column, key = order.label_column, order.id_column
    return read_truth(order.labels, of, column, id_column=key, tell=progress.warn)


def _recalibrate(
    soup: LoadedNet,
    heads: Sequence[str],
    batches: Iterator[tuple[Indices, Inputs]],
    progress: Progress,
) -> int:
    count = recalibrated(soup, heads, (inputs for _, inputs in batches))
    if 0 < count < FEW:
        progress.warn(f"{count} images recalibrate the batch norms: give some hundreds more")
    return count


def _judge(
    nets: Sequence[LoadedNet],
    spec: ExportSpec,
    images: Sequence[Hashed],
    recipe: Recipe,
    progress: Progress,
) -> _Judged:
    """Run every net on the images, of which a batch at a time is in memory."""
    heads, alone = spec.head_names, spec.batch == "alone"
    size = 1 if alone else BATCH
    progress.start(len(images) * len(nets), len(nets))
    places, rows = [], []
    for kept, inputs in _inputs(images, nets[0].preprocess, recipe, size):
        places.append(kept)
        rows.append([outputs(net, heads, inputs) for net in nets])
        progress.advance(len(kept) * len(nets))
    if bad := len(images) - sum(map(len, places)):
        progress.warn(f"{bad} images cannot be used, and do not judge")
    joined = [
        [np.concatenate([row[net][head] for row in rows]) for head in range(len(heads))]
        for net in range(len(nets))
    ]
    return _Judged(np.concatenate(places), joined)


def _inputs(
    images: Sequence[Hashed], preprocess: Preprocess, recipe: Recipe, size: int = BATCH
) -> Iterator[tuple[Indices, Inputs]]:
    """Yield batches of about equal size: the places of images that can be used, and their inputs.

    Raises:
        UsageError: none of them can be used.
    """
    errors, done = [], 0
    for places in np.array_split(np.arange(len(images)), -(-len(images) // size)):
        batch = [images[place] for place in places]
        found = decoded(batch, preprocess.geometry, recipe.inputs.decode)
        errors += [pixels for pixels in found if isinstance(pixels, ImageError)]
        good = [pixels for pixels in found if not isinstance(pixels, ImageError)]
        kept = [not isinstance(pixels, ImageError) for pixels in found]
        done += len(good)
        if good:
            yield places[kept], normalised(preprocess, np.stack(good))
    if not done:
        raise UsageError(f"none of the images can be used: {errors[0]}")


def _compare(card: Card, judged: _Judged, truth: Truth | None) -> Iterator[SoupAgreement]:
    right = None if truth is None else truth[judged.places]
    for place, head in enumerate(card.heads):
        soup, *parts = (net[place] for net in judged.nets)
        yield compare_soup(head, soup, parts, right)
