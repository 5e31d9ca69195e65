"""Composing int8 members: calibrated on some images, judged on others, written if labels stay."""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from ensemble.arrays import Pixels, Pooled
from ensemble.errors import ImageError, MemberError, UsageError, few
from ensemble.evaluation import labels
from ensemble.export.int8 import check_quantizable, to_int8
from ensemble.files.atomic import publish_bytes
from ensemble.files.csv_tables import column_of
from ensemble.files.paths import expand
from ensemble.files.text_table import TableSource
from ensemble.images.loader import load_pixels
from ensemble.images.reading import Hashed
from ensemble.inference import start
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.ready import ReadyMember
from ensemble.inference.score import find_images, score_into_store
from ensemble.members.card import Card, Head
from ensemble.members.member import Member, embed_card, open_member
from ensemble.predictions.stored import StoredPredictions, votes_of
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import TASKS, DecodePolicy, Geometry, IdFrom
from ensemble.runtime.devices import available_threads
from ensemble.views.policy import IDENTITY

_SURE: Final = 0.95

ROUNDS: Final = 5
"""Turns in which the speeds of the two members are measured."""


@dataclass(frozen=True, slots=True)
class QuantizeOrder:
    """What is to be quantised, on which images, and how many labels may change (0 to 1).

    Members that are there already are replaced with `force` only.
    """

    members: tuple[str, ...]
    images: tuple[str, ...]
    labels: TableSource | None = None
    label_column: str = "label"
    head: str | None = None
    calibration: int = 256
    max_disagreement: float = 0.005
    id_from: IdFrom = "stem"
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    force: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the labels and probabilities of a head compare over the `images` that judge.

    `accuracies` are of the float32 and of the int8 member; None where no labels were given.
    """

    head: str
    images: int
    changed: int
    largest: float
    mean: float
    accuracies: tuple[float, float] | None = None

    @property
    def disagreement(self) -> float:
        """The share of images whose label changed."""
        return self.changed / self.images

    @property
    def most(self) -> float:
        """The share of other images like these whose label changes at most, 95 % sure.

        The upper limit of Clopper & Pearson (1934).
        """
        left = self.images - self.changed
        return float(betaincinv(self.changed + 1, left, _SURE)) if left else 1.0

    def __str__(self) -> str:
        text = (
            f"{self.head}: {self.changed} of {self.images} labels change "
            f"({self.disagreement:.2%}; of others like them at most {self.most:.2%}, 95 % sure); "
            f"probabilities differ by {self.largest:.3g} at most, "
            f"{self.mean:.2g} on average"
        )
        if self.accuracies is None:
            return text
        before, after = self.accuracies
        return f"{text}; accuracy {before:.2%} in float32, {after:.2%} in int8"


@dataclass(frozen=True, slots=True)
class Quantized:
    """An int8 member that was written; `speed` is its images/s, times the float32 member's."""

    path: Path
    card: Card
    agreements: tuple[Agreement, ...]
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
    if order.calibration < 1 or not 0 <= order.max_disagreement <= 1:
        raise UsageError(
            f"calibration is at least 1, max_disagreement from 0 to 1; found {order.calibration}, "
            f"{order.max_disagreement}"
        )
    members = [open_member(path) for path in expand(order.members, ".onnx", "member")]
    _check_members(members, order, out)
    recipe = resolve(
        Settings(
            order.members, order.images, id_from=order.id_from, decode=order.decode, device="cpu"
        )
    )
    players = [_start(member, recipe) for member in members]
    found, _ = find_images(recipe.inputs, recipe.resources.threads, progress)
    calibrating, judging = divide(found, order.calibration)
    if (least := Agreement("", len(judging), 0, 0, 0).most) > order.max_disagreement:
        progress.warn(
            f"{len(judging)} images judge: where none of their labels changes, {least:.2%} of "
            f"others still may, and at most {order.max_disagreement:.2%} are allowed; "
            f"give more images"
        )
    truth = None if order.labels is None else column_of(order.labels, order.label_column)
    with tempfile.TemporaryDirectory(prefix="ensemble-") as folder:
        job = _Job(order, recipe, judging, truth, Path(folder), progress)
        done = [job.quantize(player, calibrating) for player in players]
        for staged, _ in done:
            publish_bytes(out / staged.name, staged.read_bytes())
    return [replace(result, path=out / staged.name) for staged, result in done]


def divide(images: Sequence[Hashed], calibration: int) -> tuple[list[Hashed], list[Hashed]]:
    """Divide images into those that calibrate, at most half, and those that judge.

    Raises:
        UsageError: fewer than two images that differ.
    """
    readable = sorted((i for i in images if i.sha256), key=lambda i: (i.sha256, i.source.id))
    firsts = {image.sha256: image for image in reversed(readable)}
    hashes = sorted(firsts)
    if len(hashes) < 2:
        raise UsageError(f"{len(hashes)} images that differ: some calibrate and others judge")
    chosen = hashes[: min(calibration, len(hashes) // 2)]
    apart = set(chosen)
    return [firsts[h] for h in chosen], [i for i in images if i.sha256 not in apart]


def compare(
    head: Head, before: Pooled, after: Pooled, truth: NDArray[np.int64] | None
) -> Agreement:
    """Compare float64 probabilities (N, C) of two members; a multilabel row changes by any label.

    Args:
        head: What the columns mean.
        before: Of the float32 member.
        after: Of the int8 member.
        truth: The class of each row, int64 (N,), or None.
    """
    differences = np.abs(before - after)
    if TASKS[head.task].several:
        changed = ((before >= 0.5) != (after >= 0.5)).any(1)
    else:
        changed = before.argmax(1) != after.argmax(1)
    accuracies = None
    if truth is not None:
        accuracies = (
            float((before.argmax(1) == truth).mean()),
            float((after.argmax(1) == truth).mean()),
        )
    largest, mean = float(differences.max()), float(differences.mean())
    return Agreement(head.name, len(before), int(changed.sum()), largest, mean, accuracies)


@dataclass(frozen=True, slots=True)
class _Job:
    order: QuantizeOrder
    recipe: Recipe
    judging: Sequence[Hashed]
    truth: Mapping[str, str] | None
    folder: Path
    progress: Progress

    def quantize(
        self, before: ReadyMember, calibrating: Sequence[Hashed]
    ) -> tuple[Path, Quantized]:
        """Write an int8 member into the folder, and judge it by the float32 member."""
        member = before.member
        pixels = _pixels(calibrating, member.card.preprocess.geometry, self.order, self.progress)
        model = to_int8(member, pixels)
        card = _carded(member, len(pixels))
        target = self.folder / "int8" / f"{card.name}.onnx"
        embed_card(model, card)
        publish_bytes(target, model.SerializeToString())
        players = [before, _start(open_member(target), self.recipe)]
        agreements = self.judge(players)
        worst = max(agreements, key=lambda a: a.disagreement)
        if worst.disagreement > self.order.max_disagreement:
            raise MemberError(
                f"{member.path}: in int8, {worst}. At most {self.order.max_disagreement:.2%} may "
                f"change, so nothing was written: give more images like those to predict, raise "
                f"--calibration or --max-disagreement, or keep the float32 member"
            )
        agreed = {f"agreement:{a.head}": 1 - a.disagreement for a in agreements}
        card = replace(card, source={**card.source, **agreed, "judged_on": agreements[0].images})
        embed_card(model, card)
        publish_bytes(target, model.SerializeToString())
        return target, Quantized(target, card, agreements, _speed(players, pixels))

    def judge(self, players: Sequence[ReadyMember]) -> tuple[Agreement, ...]:
        """Score the judging images with both, as a run does, and compare every head."""
        store = self.folder / f"store-{players[0].member.card.name}"
        heads = players[0].member.card.heads
        recipe = replace(
            self.recipe,
            inputs=replace(self.recipe.inputs, head=heads[0].name),
            resources=replace(self.recipe.resources, store=store),
        )
        entries, _ = score_into_store(recipe, players, image_set_of(self.judging), self.progress)
        return tuple(self.agreement(head, entries) for head in heads)

    def agreement(self, head: Head, entries: Sequence[StoredPredictions]) -> Agreement:
        """Compare two members by id, on the images that both predict."""
        votes = votes_of([replace(entry, head=head) for entry in entries])
        if not votes.ids:
            raise UsageError(
                f"none of the images that judge can be used: {votes.quarantined[0].message}"
            )
        truth = None
        if self.truth is not None and self.order.head in (None, head.name):
            truth = labels.truth_of(votes.ids, self.truth, head.classes)
        before, after = (ballot.probs.astype(np.float64) for ballot in votes.ballots)
        return compare(head, before, after, truth)


def _start(member: Member, recipe: Recipe) -> ReadyMember:
    batch = recipe.resources.batch_size
    return start.start(member, (IDENTITY,), "mean", device="cpu", threads=0, batch=batch)


def _check_members(members: Sequence[Member], order: QuantizeOrder, out: Path) -> None:
    """Check, before any image is read, that each can be quantised, judged and written."""
    taken: dict[str, Path] = {}
    for member in members:
        check_quantizable(member)
        values = [head.name for head in member.card.heads if not TASKS[head.task].bounded]
        if values:
            raise MemberError(
                f"{member.path}: head {values[0]!r} is a regression, whose agreement no label "
                f"shows. Run the float32 member"
            )
        labelled = None if order.labels is None else member.card.head(order.head)
        if labelled is not None and not TASKS[labelled.task].single:
            raise UsageError(
                f"--labels gives a class an image; head {labelled.name!r} of {member.path} is "
                f"{labelled.task}"
            )
        name = member.card.name
        twin = taken.setdefault(name, member.path)
        if twin is not member.path:
            raise UsageError(f"{twin} and {member.path} would both become {name}.onnx")
        if (out / f"{name}.onnx").resolve() == member.path.resolve():
            raise UsageError(f"{member.path}: the int8 member would replace it; give another --out")
    there = [str(path) for name in taken if (path := out / f"{name}.onnx").exists()]
    if there and not order.force:
        raise UsageError(f"{few(there)}: there already; say --force to replace, or another --out")


def _pixels(
    images: Sequence[Hashed], geometry: Geometry, order: QuantizeOrder, progress: Progress
) -> Pixels:
    """Return what can be decoded, uint8 (N, H, W, C), as a run does it."""

    def load(image: Hashed) -> Pixels | ImageError:
        try:
            return load_pixels(image, order.decode, geometry)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(available_threads()) as pool:
        found = list(pool.map(load, images))
    good = [pixels for pixels in found if not isinstance(pixels, ImageError)]
    bad = [error for error in found if isinstance(error, ImageError)]
    if not good:
        raise UsageError(f"none of the images that calibrate can be used: {bad[0]}")
    if bad:
        progress.warn(f"{len(bad)} images cannot be used to calibrate: {bad[0]}")
    return np.stack(good)


def _carded(member: Member, calibrated: int) -> Card:
    """Say what it is. The family stays: the int8 members of a family replace the others."""
    kept = {k: v for k, v in member.card.source.items() if not k.startswith("sha256:")}
    told: dict[str, str | float] = {
        "quantized": "int8 qdq",
        "fp32_sha256": member.sha256,
        "calibrated_on": calibrated,
    }
    return replace(member.card, source={**kept, **told})


def _speed(players: Sequence[ReadyMember], pixels: Pixels) -> float:
    """Return how many times the images/s of the first the second has, measured in turns."""
    batch = np.resize(pixels, (players[0].batch, *pixels.shape[1:]))
    times = [[_seconds(player, batch) for player in players] for _ in range(ROUNDS)]
    return statistics.median(before / after for before, after in times)


def _seconds(player: ReadyMember, batch: Pixels) -> float:
    player.score(batch)  # the other session has filled the cache
    begun = time.perf_counter()
    player.score(batch)
    return time.perf_counter() - begun
