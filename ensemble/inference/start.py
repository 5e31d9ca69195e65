"""The line-up: members opened, given their views, and shown to run, before any image is read."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ensemble.arrays import Pixels, Probs
from ensemble.errors import MemberError, ScoreError
from ensemble.files.atomic import sha256_bytes, sha256_json
from ensemble.inference.batches import Job
from ensemble.members.card import Head
from ensemble.members.member import Member, check_together, input_of, open_member, whole
from ensemble.recipe.settings import Recipe
from ensemble.records import Merge, Precision, View
from ensemble.runtime import graph
from ensemble.runtime.devices import CPU, runs_on_cpu
from ensemble.runtime.float16 import check_agreement, halve
from ensemble.runtime.session import OnnxScorer, run_once, score_as
from ensemble.views import policy as views
from ensemble.views.host import apart
from ensemble.views.pixels import output_size
from ensemble.views.policy import Shaped

_PROBE: Final = 4
_REPEATS: Final = 3
_PROBE_SEED: Final = 20
_HALVES: Final = 16
_PROBE_PIXELS: Final = 2**26
_ROW_SUM: Final = 2e-3
_CONVERTED: Final = 1e-4
_CACHED: Final = 2 * 224 * 224
_SPILLED: Final = 2 * _CACHED
"""Pixels of an image in all views, from which on each view is a forward of its own on the CPU."""

_LARGEST: Final = 32
_STEPS: Final = (0.25, 0.5, 1, 2, 4)
_CONCLUSIVE: Final = 8
"""Labels of a multilabel head from which outputs in [0, 1] show that they are probabilities."""


BatchSize: TypeAlias = int | Literal["auto"]


@dataclass(frozen=True, slots=True)
class Player:
    """A member with its views, ready to score; `batch` is fixed where the export froze it.

    `policy` are the views that its graph makes and merges. `sizes` are batch sizes that are worth
    a try, in order, `batch` among them; none where it was given.
    """

    member: Member
    scorer: OnnxScorer
    policy: tuple[View, ...]
    batch: int
    fixed_batch: bool
    sizes: tuple[int, ...] = ()

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return each head's float32 (N, C) of uint8 images (N, H, W, C); see `score_as`."""
        return score_as(self.member.card.name, self.scorer, images)


def open_members(paths: Sequence[Path], head: str | None) -> list[Member]:
    """Open members and check that they can vote together; see `members.open_member`."""
    members = [open_member(path) for path in paths]
    check_together(members, head)
    return members


def shape_views(member: Member, policy: Sequence[View]) -> list[Shaped]:
    """Give each view its size for a member, and refuse what the member cannot take.

    Raises:
        UsageError: two views that are the same for this member's size, or a crop too large.
        MemberError: a view of another size than the member's input, which is fixed.
    """
    card = member.card
    size = card.preprocess.size
    views.check_distinct(policy, size)
    shaped = [Shaped(view, output_size(view, size)) for view in policy]
    for entry in shaped:
        if entry.size != size and not card.dynamic_size:
            raise MemberError(
                f"member {card.name} takes {size} pixels only; view {entry.view.name} is "
                f"{entry.size}. Export it with --dynamic-size, or use other views"
            )
    return shaped


def start(
    member: Member,
    policy: Sequence[View],
    merge: Merge,
    *,
    device: str,
    threads: int,
    batch: BatchSize,
    precision: Precision = "fp32",
    cache: Path | None = None,
) -> Player:
    """Compose a member's graph, start its session, and prove it on a probe batch.

    Args:
        member: The opened member.
        policy: The views, in order.
        merge: How their outputs become one.
        device: See `OnnxScorer`.
        threads: Threads in all; 0 for every processor.
        batch: Images a forward, unless the member's batch axis is fixed; "auto" guesses.
        precision: What the member computes in; fp16 is compared with fp32 on a probe batch.
        cache: Where TensorRT keeps its engines, in a folder for each graph; None for nowhere.

    Raises:
        MemberError: the graph does not run, or its outputs are not what the card says.
        ProviderError: the device does not start.
        UsageError: the views do not suit the member.
    """
    card = member.card
    shaped = shape_views(member, policy)
    _check_batch(member, shaped)
    full = whole(member) if precision == "fp16" else member.model
    with _blamed(member):
        inner = halve(full) if precision == "fp16" else full
        split = member.batch is None and runs_on_cpu(device) and _pixels(shaped) > _SPILLED
        model = graph.compose_graph(inner, card, shaped, merge, split=split).SerializeToString()
        scorer = OnnxScorer(
            model,
            _outputs(member),
            device=device,
            threads=threads,
            folder=member.folder,
            precision=precision,
            cache=cache and cache / _engine_name(member, model, precision),
        )
    player = _with_batch(member, scorer, shaped, batch)
    _prove(player, len(shaped))
    if member.converted:
        _prove_conversion(member)
    if precision == "fp16":
        with _blamed(member):
            _prove_halves(player, graph.compose_graph(member.model, card, shaped, merge))
    return player


def probe_images(shape: Sequence[int]) -> Pixels:
    """Return uint8 images (N, H, W, C) for probing: noise of several contrasts, the same always."""
    rng = np.random.default_rng(_PROBE_SEED)
    images = rng.integers(0, 256, shape).astype(np.float64)
    contrast = np.linspace(0.1, 1, shape[0]).reshape(-1, 1, 1, 1)
    level = np.linspace(40, 215, shape[0]).reshape(-1, 1, 1, 1)
    return cast(Pixels, np.clip(level + contrast * (images - 128), 0, 255).astype(np.uint8))


def seconds_per_image(player: Player) -> float:
    """Return what an image costs in all views with all lanes busy: the least of some batches.

    Raises:
        ScoreError: the member failed.
    """
    pre = player.member.card.preprocess
    rows = player.batch if player.fixed_batch else _PROBE
    images = probe_images((rows, pre.size.height, pre.size.width, len(pre.mean)))
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        player.score(images)
        seconds.append(time.perf_counter() - began)
    return min(seconds) / (rows * player.scorer.lanes)


def batch_noise(player: Player) -> float:
    """Return how far a score of the probe batch moves when its image is scored alone.

    Raises:
        ScoreError: the member failed, or gives NaN or infinity for the probe.
    """
    pre = player.member.card.preprocess
    if player.fixed_batch:
        return 0.0
    images = probe_images((_PROBE, pre.size.height, pre.size.width, len(pre.mean)))
    together = player.score(images)
    alone = [player.score(images[row : row + 1]) for row in range(_PROBE)]
    with np.errstate(invalid="ignore"):  # infinity less infinity
        moved = [
            float(abs(together[name] - np.concatenate([scores[name] for scores in alone])).max())
            for name in together
        ]
    if not np.isfinite(moved).all():
        raise ScoreError(
            f"member {player.member.card.name} gave NaN or infinity for images of noise. Export it "
            f"again, or leave it out"
        )
    return max(moved)


def job_of(player: Player, batch: int) -> Job:
    """Return a member at work, in batches of so many images."""
    card = player.member.card
    return Job(
        name=card.name,
        scorer=player.scorer,
        geometry=card.preprocess.geometry,
        batch=batch,
        fixed_batch=player.fixed_batch,
        heads={head.name: len(head.classes) for head in card.heads},
        lanes=player.scorer.lanes,
    )


def host_views(recipe: Recipe, policy: Sequence[View], members: Sequence[Member]) -> bool:
    """Tell whether the members' views are evaluated one by one, on the host."""
    return apart(policy, recipe.merge, [member.card.preprocess.size for member in members])


def graph_views(
    recipe: Recipe, policy: Sequence[View], members: Sequence[Member]
) -> Sequence[View]:
    """Return the views that the members' graphs have in an early exit: none that the host makes."""
    return (views.IDENTITY,) if host_views(recipe, policy, members) else policy


def _engine_name(member: Member, model: bytes, precision: Precision) -> str:
    """Name a folder by all that an engine holds, weights too: ONNX Runtime goes by node names."""
    return sha256_json([member.sha256, sha256_bytes(model), precision])[:16]


def _outputs(member: Member) -> dict[str, str]:
    return {head.name: graph.probs_name(head) for head in member.card.heads}


def _with_batch(
    member: Member, scorer: OnnxScorer, shaped: Sequence[Shaped], batch: BatchSize
) -> Player:
    policy = tuple(entry.view for entry in shaped)
    if member.batch is not None:
        return Player(member, scorer, policy, member.batch // len(shaped), fixed_batch=True)
    if batch != "auto":
        return Player(member, scorer, policy, batch, fixed_batch=False)
    guess = _guessed(_pixels(shaped)) if scorer.provider == CPU else _LARGEST
    sizes = dict.fromkeys(max(1, int(guess * step)) for step in _STEPS)
    return Player(member, scorer, policy, guess, fixed_batch=False, sizes=tuple(sizes))


def _pixels(shaped: Sequence[Shaped]) -> int:
    """Return how many pixels an image has in all views."""
    return sum(entry.size.height * entry.size.width for entry in shaped)


def _guessed(pixels: int) -> int:
    """Return the power of two of images whose views have as many pixels as suit a cache."""
    return int(2 ** min(max(1, _CACHED // pixels).bit_length() - 1, _LARGEST.bit_length() - 1))


def _check_batch(member: Member, shaped: Sequence[Shaped]) -> None:
    """Check that the views divide a batch axis that is fixed."""
    if member.batch is None:
        return
    one_shape = len({entry.size for entry in shaped}) == 1
    if not one_shape or member.batch % len(shaped):
        raise MemberError(
            f"{member.path}: its batch axis is fixed at {member.batch}, which {len(shaped)} views "
            f"do not divide. Export it again with a dynamic batch (dynamic_shapes, or "
            f"`ensemble export`)"
        )


@contextmanager
def _blamed(member: Member) -> Iterator[None]:
    """Name a member's file in what its graph raises."""
    try:
        yield
    except (MemberError, ScoreError) as error:
        raise MemberError(f"{member.path}: {error}") from error


def _prove(player: Player, n_views: int) -> None:
    """Run a probe batch; check the shapes, and that the card's activation is the right one.

    An image alone is tried too on the CPU, where a run has batches of every size. On a GPU every
    batch is padded to one size, and another would be tuned for.
    """
    card = player.member.card
    pre = card.preprocess
    rows = player.batch if player.fixed_batch else _PROBE
    if rows * pre.size.height * pre.size.width > _PROBE_PIXELS:
        raise MemberError(
            f"{player.member.path}: {rows} images of {pre.size} pixels are more than a probe takes "
            f"({_PROBE_PIXELS} pixels). Export it again for smaller images, or a smaller batch"
        )
    images = probe_images((rows, pre.size.height, pre.size.width, len(pre.mean)))
    values = _probed(player, images, n_views)
    if not player.fixed_batch and player.scorer.provider == CPU:
        _probed(player, images[:1], n_views)
    for head in card.heads:
        _check_activation(player.member, head, values[f"{head.name}/raw"])


def _probed(player: Player, images: Pixels, n_views: int) -> Mapping[str, NDArray[np.float32]]:
    """Return the outputs of a probe batch, and `<head>/raw` (V, N, C), what the member gave."""
    card, rows = player.member.card, len(images)
    names = {f"{h.name}/raw": graph.raw_name(h) for h in card.heads}
    names |= {h.name: graph.probs_name(h) for h in card.heads}
    try:
        values = player.scorer.outputs(images, names)
    except ScoreError as error:
        raise MemberError(
            f"{player.member.path}: it fails on {rows} images in {n_views} views: {error}. Perhaps "
            f"its batch axis is fixed inside: export it again with dynamic shapes, or by "
            f"`ensemble export`"
        ) from error
    for head in card.heads:
        raw = values[f"{head.name}/raw"]
        expected = (n_views, rows, len(head.classes))
        if raw.shape != expected:
            raise MemberError(
                f"{player.member.path}: output {head.output!r} gives {raw.shape} for {rows} "
                f"images in {n_views} views; its card says {expected}"
            )
    return values


def _check_activation(member: Member, head: Head, raw: NDArray[np.float32]) -> None:
    if not np.isfinite(raw).all() or head.task == "regression":
        return  # a member that gives NaN is dealt with where it is scored, by --on-nan
    inside = bool((raw >= 0).all() and (raw <= 1).all())
    sums = bool((abs(raw.sum(-1) - 1) <= _ROW_SUM).all())
    many = len(head.classes) >= _CONCLUSIVE
    if head.task == "multilabel" and inside and not many:
        return  # the logits of a few labels may well lie there
    looks_done = inside and (sums or head.task == "multilabel")
    if looks_done == (head.activation == "none"):
        return
    found = "probabilities already" if looks_done else "no probabilities"
    right = "none" if looks_done else ("sigmoid" if head.task == "multilabel" else "softmax")
    raise MemberError(
        f"{member.path}: its card says activation {head.activation!r} for head {head.name!r}, and "
        f"output {head.output!r} gives {found} on a probe batch (values from {raw.min():.3g} to "
        f"{raw.max():.3g}). The activation is probably {right!r}: export it "
        f"again with --activation {right}, or write the card beside it anew"
    )


def _prove_halves(player: Player, full: ModelProto) -> None:
    """Compare a member in float16 with its graph in float32 on the CPU, on a probe batch."""
    member, pre = player.member, player.member.card.preprocess
    rows = player.batch if player.fixed_batch else _PROBE
    count = rows if player.fixed_batch else _HALVES
    images = probe_images((count, pre.size.height, pre.size.width, len(pre.mean)))
    scorer = OnnxScorer(
        full.SerializeToString(), _outputs(member), device="cpu", folder=member.folder
    )
    parts = [images[at : at + rows] for at in range(0, count, rows)]
    before, after = ([s.score(part) for part in parts] for s in (scorer, player.scorer))
    for head in member.card.heads:
        full_rows, half_rows = (np.concatenate([p[head.name] for p in s]) for s in (before, after))
        check_agreement(head, full_rows, half_rows)


def _prove_conversion(member: Member) -> None:
    """Compare a member brought up from an old opset with its original, on a probe batch."""
    original = ModelProto()
    original.ParseFromString(member.path.read_bytes())
    name = input_of(original).name
    pre = member.card.preprocess
    shape = (member.batch or 2, pre.size.height, pre.size.width, len(pre.mean))
    pixels = probe_images(shape).transpose(0, 3, 1, 2) / 255
    feeds = {name: np.ascontiguousarray(pixels, np.float32)}
    with _blamed(member):
        before = run_once(original.SerializeToString(), feeds, member.folder)
        after = run_once(member.model.SerializeToString(), feeds, member.folder)
    for output, values in before.items():
        bound = _CONVERTED * max(1.0, float(abs(values).max()))
        with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, which is refused
            difference = float(abs(values - after[output]).max())
        if not difference <= bound:
            raise MemberError(
                f"{member.path}: brought to a newer opset, its output {output!r} changes by "
                f"{difference:.3g}. Export it again at opset 18"
            )
