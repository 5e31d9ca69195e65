"""Composing int8 members: calibrated on some images, judged on others, written if labels stay."""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ensemble.arrays import Pixels
from ensemble.errors import MemberError
from ensemble.export.int8 import to_int8
from ensemble.files.atomic import publish_bytes
from ensemble.files.csv_tables import column_of
from ensemble.files.paths import expand
from ensemble.images.reading import Hashed
from ensemble.inference.find import find_images
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import start
from ensemble.members.card import Card
from ensemble.members.crop import with_crops
from ensemble.members.fetched import local_members
from ensemble.members.member import Member, embed_card, open_member
from ensemble.pipeline.agreement import Comparison
from ensemble.pipeline.calibration_images import calibration_pixels, divide
from ensemble.pipeline.judge import Judge
from ensemble.pipeline.quantize_order import QuantizeOrder, check_order
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import DEFAULT_STORE, Settings
from ensemble.views.policy import IDENTITY

ROUNDS: Final = 5
"""Turns in which the speeds of the two members are measured."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """An int8 member that was written; `speed` is its images/s, times the float32 member's."""

    path: Path
    card: Card
    agreements: tuple[Comparison, ...]
    speed: float


def quantize_members(
    order: QuantizeOrder, out: Path, progress: Progress | None = None
) -> list[Quantized]:
    """Quantise members to `out/<name>.onnx`; all are judged before the first is written.

    Where the disk refuses one of them, those before it are there, and each is whole.

    Images calibrate or judge by the hash of their bytes, so neither names nor order matter, and
    copies of one image never do both.

    Raises:
        UsageError: settings, images or labels that do not go together.
        MemberError: a member cannot be quantised, or more labels change than may.
        StoreError: the disk refused a member.
    """
    progress = progress or Quiet()
    members = [
        open_member(path)
        for path in expand(local_members(order.members, DEFAULT_STORE), ".onnx", "member")
    ]
    check_order(order, members, out)
    recipe = resolve(
        Settings(
            order.members,
            order.images,
            id_from=order.id_from,
            id_col=order.id_column,
            image_col=order.image_col,
            decode=order.decode,
            crops=order.crops,
            margin=order.margin,
            square=order.square,
            device="cpu",
        )
    )
    members = with_crops(members, recipe.inputs.crop, cropped=order.crops is not None)
    ready_members = [_started(member, recipe) for member in members]
    found, _ = find_images(recipe.inputs, recipe.resources.threads, progress)
    calibrating, judging = divide(found, order.calibration)
    _warn_of_few(len(judging), order.max_disagreement, progress)
    truth = None
    if order.labels is not None:
        ids = [image.source.id for image in found]
        truth = column_of(order.labels, order.label_column, order.id_column, ids, progress.warn)
    with tempfile.TemporaryDirectory(prefix="ensemble-") as folder:
        judge = Judge(recipe, judging, truth, order.head, Path(folder), progress)
        done = [_to_int8(order, ready, calibrating, judge) for ready in ready_members]
        for staged, _ in done:
            publish_bytes(out / staged.name, staged.read_bytes())
    return [replace(result, path=out / staged.name) for staged, result in done]


def _to_int8(
    order: QuantizeOrder, before: ReadyMember, calibrating: Sequence[Hashed], judge: Judge
) -> tuple[Path, Quantized]:
    """Write an int8 member into the judge's folder, and judge it by the float32 member."""
    member, geometry = before.member, before.member.card.preprocess.geometry
    pixels = calibration_pixels(calibrating, geometry, order.decode, judge.progress)
    model, card = to_int8(member, pixels), _carded(member, len(pixels))
    target = judge.folder / "int8" / f"{card.name}.onnx"
    embed_card(model, card)
    publish_bytes(target, model.SerializeToString())
    after = _started(open_member(target), judge.recipe)
    agreements = judge.judge(before, after)
    worst = max(agreements, key=lambda a: a.disagreement)
    if worst.disagreement > order.max_disagreement:
        raise MemberError(
            f"{member.path}: in int8, {worst}. At most {order.max_disagreement:.2%} may change, so "
            f"nothing was written: give more images like those to predict, raise --calibration or "
            f"--max-disagreement, or keep the float32 member"
        )
    # only now is known what the card is to say; the member that was judged said less
    agreed = {f"agreement:{a.head}": 1 - a.disagreement for a in agreements}
    card = replace(card, source={**card.source, **agreed, "judged_on": agreements[0].images})
    embed_card(model, card)
    publish_bytes(target, model.SerializeToString())
    return target, Quantized(target, card, agreements, _speed([before, after], pixels))


def _warn_of_few(judging: int, allowed: float, progress: Progress) -> None:
    """Say what so few images cannot show, even where none of their labels changes."""
    least = Comparison("", judging, 0, 0, 0).most
    if least > allowed:
        progress.warn(
            f"{judging} images judge: where none of their labels changes, {least:.2%} of others "
            f"still may, and at most {allowed:.2%} are allowed; give more images"
        )


def _started(member: Member, recipe: Recipe) -> ReadyMember:
    batch = recipe.resources.batch_size
    return start(member, (IDENTITY,), "mean", device="cpu", threads=0, batch=batch)


def _carded(member: Member, calibrated: int) -> Card:
    """Say what it is. The family stays: the int8 members of a family replace the others."""
    kept = {k: v for k, v in member.card.source.items() if not k.startswith("sha256:")}
    told: dict[str, str | float] = {
        "quantized": "int8 qdq",
        "fp32_sha256": member.sha256,
        "calibrated_on": calibrated,
    }
    return replace(member.card, source={**kept, **told})


def _speed(ready_members: Sequence[ReadyMember], pixels: Pixels) -> float:
    """Return how many times the images/s of the first the second has, measured in turns."""
    batch = np.resize(pixels, (ready_members[0].batch, *pixels.shape[1:]))
    times = [[_seconds(ready, batch) for ready in ready_members] for _ in range(ROUNDS)]
    return statistics.median(before / after for before, after in times)


def _seconds(ready: ReadyMember, batch: Pixels) -> float:
    ready.score(batch)  # the other session has filled the cache
    begun = time.perf_counter()
    ready.score(batch)
    return time.perf_counter() - begun
