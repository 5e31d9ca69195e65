"""Crops before members: a detector run over images, and one box an image chosen of its boxes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensemble.arrays import Boxes, Vector
from ensemble.boxes import RULES, BoxRule
from ensemble.errors import MemberError, UsageError, few
from ensemble.files.atomic import check_writable, publish_bytes, remove
from ensemble.files.paths import expand
from ensemble.images.box_choice import (
    ChosenBox,
    check_rule,
    choose,
    is_inside_out,
)
from ensemble.images.crop_table import crops_bytes
from ensemble.images.reading import Hashed
from ensemble.images.resize import back_to_image
from ensemble.images.sizes import sizes_of
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.ready import ReadyMember
from ensemble.inference.score import score_into_store
from ensemble.inference.start import start
from ensemble.members.card import BOX_COLUMNS, Card
from ensemble.members.fetched import local_members
from ensemble.members.member import Member, open_member
from ensemble.pipeline.device import settled
from ensemble.predictions.oof_file import quarantine_beside, write_quarantine
from ensemble.predictions.store import Scores
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Quarantined, Size
from ensemble.reports.contact_sheet import Tile, contact_sheet
from ensemble.runtime.devices import available_threads
from ensemble.runtime.wheels import WHEELS, check_wheels, installed
from ensemble.views.policy import IDENTITY


@dataclass(frozen=True, slots=True)
class Crops:
    """The table that was written: how many boxes each rule chose, and the images without one.

    `sheet` is a picture of the least certain boxes; `several` counts the images that had more than
    one box to choose from.
    """

    path: Path
    sheet: Path
    rules: Mapping[str, int]
    several: int
    quarantined: tuple[Quarantined, ...]


def make_crops(
    settings: Settings, rule: BoxRule, out: Path, progress: Progress | None = None
) -> Crops:
    """Run a detector over images, choose one box an image, and write the table of crops.

    Args:
        settings: The detector as the one member, the images, and how to run.
        rule: Which box is taken.
        out: The CSV to write, with its quarantine and the contact sheet, a PNG, beside it.
        progress: Told how far it is.

    Raises:
        UsageError: not one detector, or numbers out of range.
        MemberError: the member is none, or gives boxes whose sides are in another order.
        EnsembleError: as for a run.
    """
    progress, recipe = progress or Quiet(), settled(resolve(settings))
    check_rule(rule)
    check_wheels(installed(WHEELS))
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out {out}: expected a name that ends in .csv; a .png lies beside it")
    check_writable(out.parent, "--out")
    check_writable(recipe.resources.store, "--store")
    ready = _started(recipe)
    images, _ = find_images(
        recipe.inputs, recipe.resources.threads, progress, recipe.resources.store
    )
    entries, _ = score_into_store(recipe, [ready], image_set_of(images), progress)
    scores = entries[0].partition.read(entries[0].head.name)
    chosen = _chosen(recipe, ready.member, images, scores, rule)
    if odd := [name for name, (found, _) in chosen.items() if found.odd]:
        progress.warn(
            f"the detector gave NaN or infinity for {len(odd)} images, which have the fallback: "
            f"{few(odd)}"
        )
    sheet = _write_sheet(recipe, images, chosen, out)
    publish_bytes(out, crops_bytes(chosen))
    _write_quarantine(out, scores.quarantined)
    rules = Counter(found.box.rule for found, _ in chosen.values())
    several = sum(found.count > 1 for found, _ in chosen.values())
    return Crops(out, sheet, {name: rules[name] for name in RULES}, several, scores.quarantined)


def _started(recipe: Recipe) -> ReadyMember:
    """Open the one detector and start it: it sees images as they are."""
    paths = expand(local_members(recipe.inputs.members, recipe.resources.store), ".onnx", "member")
    if len(paths) != 1:
        raise UsageError(f"--members: expected one detector, found {len(paths)} files")
    member = open_member(paths[0])
    if member.card.heads[0].boxes is None:
        tasks = ", ".join(head.task for head in member.card.heads)
        raise MemberError(
            f"{member.path}: expected a detector, whose card has a head of task boxes; its heads "
            f"are {tasks}. Describe one by `ensemble inspect --write-card --task boxes`"
        )
    return start(
        member,
        (IDENTITY,),
        "mean",
        device=recipe.scoring.device,
        threads=recipe.resources.threads,
        batch=recipe.resources.batch_size,
    )


def _chosen(
    recipe: Recipe, member: Member, images: Sequence[Hashed], scores: Scores, rule: BoxRule
) -> dict[str, tuple[ChosenBox, Size]]:
    """Choose a box for each image that was scored, by its id, with the size of the image."""
    by_id = {image.source.id: image for image in images}
    threads = recipe.resources.threads or available_threads()
    scored = [by_id[name] for name in scores.ids]
    sizes = sizes_of(scored, recipe.inputs.decode, threads)
    chosen: dict[str, tuple[ChosenBox, Size]] = {}
    for image, size, row in zip(scored, sizes, scores.probs.astype(np.float64), strict=True):
        if size is None:
            raise UsageError(f"{image.source.path} changed since it was scored: run again")
        boxes, values = _boxes_of(member.card, row, size)
        if (is_inside_out(boxes) & (values >= rule.unsure)).any():
            raise MemberError(
                f"{member.path}: a box of image {image.source.id!r} ends before it begins; "
                f"expected left, top, right, bottom. Turn the sides around inside the graph"
            )
        chosen[image.source.id] = choose(boxes, values, size, rule), size
    return chosen


def _boxes_of(card: Card, row: Vector, size: Size) -> tuple[Boxes, Vector]:
    """Return the boxes (K, 4) of an image in its own pixels, and scores (K,), of a stored row."""
    pre, output = card.preprocess, card.heads[0].boxes
    boxes, scores = np.split(row, [-len(row) // BOX_COLUMNS])
    boxes = boxes.reshape(-1, 4)
    if output is not None and output.scale == "unit":
        boxes = boxes * [pre.size.width, pre.size.height, pre.size.width, pre.size.height]
    return back_to_image(boxes, size, pre.geometry), scores


def _write_sheet(
    recipe: Recipe,
    images: Sequence[Hashed],
    chosen: Mapping[str, tuple[ChosenBox, Size]],
    out: Path,
) -> Path:
    """Write the contact sheet beside the table."""
    boxes = {name: found for name, (found, _) in chosen.items()}
    tiles = [
        Tile(image, boxes[image.source.id].box, boxes[image.source.id].score)
        for image in images
        if image.source.id in boxes
    ]
    threads = recipe.resources.threads or available_threads()
    sheet = out.with_suffix(".png")
    publish_bytes(sheet, contact_sheet(tiles, recipe.inputs.decode, threads))
    return sheet


def _write_quarantine(out: Path, quarantined: Sequence[Quarantined]) -> None:
    """List the images without a box beside the table, or remove an earlier list."""
    beside = quarantine_beside(out)
    if quarantined:
        write_quarantine(beside, quarantined)
    else:
        remove(beside)
