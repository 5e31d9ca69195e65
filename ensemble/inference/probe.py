"""Images of noise that prove a member before any image is read, and measure it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ensemble.arrays import Pixels
from ensemble.errors import MemberError, ScoreError
from ensemble.inference.ready import ReadyMember
from ensemble.members.card import Head
from ensemble.members.independence import among_black, check_independent
from ensemble.members.layout import adapted
from ensemble.members.member import Member
from ensemble.members.signature import input_of
from ensemble.records import TASKS
from ensemble.runtime import graph
from ensemble.runtime.agreement import Agreement, How, check_agreement, together
from ensemble.runtime.devices import OPENVINO, PADDED
from ensemble.runtime.session import OnnxScorer, run_once

PROBE: Final = 2
"""Images of noise by which a member is proven: a batch, and the first of them again alone."""

HELD: Final = 4
"""Images of noise by which another runtime is held against ONNX Runtime."""

_MEASURED: Final = 4
_REPEATS: Final = 3

_PROBE_SEED: Final = 20

HALVES: Final = 16
"""Images of noise by which another precision is held against float32."""

_PROBE_PIXELS: Final = 2**26

_ROW_SUM: Final = 2e-3

_CONVERTED: Final = 1e-4

_CONCLUSIVE: Final = 8
"""Labels of a multilabel head from which outputs in [0, 1] show that they are probabilities."""


def probe_images(shape: Sequence[int]) -> Pixels:
    """Return uint8 images (N, H, W, C) for probing: noise of several contrasts, the same always."""
    rng = np.random.default_rng(_PROBE_SEED)
    images = rng.integers(0, 256, shape).astype(np.float64)
    contrast = np.linspace(0.1, 1, shape[0]).reshape(-1, 1, 1, 1)
    level = np.linspace(40, 215, shape[0]).reshape(-1, 1, 1, 1)
    return cast(Pixels, np.clip(level + contrast * (images - 128), 0, 255).astype(np.uint8))


def seconds_per_image(ready: ReadyMember) -> float:
    """Return what an image costs in all views with all lanes busy: the least of some batches.

    Raises:
        ScoreError: the member failed.
    """
    whole = ready.fixed_batch or ready.scorer.provider in PADDED
    rows = ready.batch if whole else _MEASURED
    images = probe_images((rows, *ready.shape))
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        ready.score(images)
        seconds.append(time.perf_counter() - began)
    return min(seconds) / (rows * ready.scorer.lanes)


def batch_noise(ready: ReadyMember) -> float:
    """Return how far a score of the probe batch moves when its image is scored alone.

    Raises:
        ScoreError: the member failed, or gives NaN or infinity for the probe.
    """
    if ready.fixed_batch:
        return 0.0
    images = probe_images((_MEASURED, *ready.shape))
    together = ready.score(images)
    alone = [ready.score(images[row : row + 1]) for row in range(_MEASURED)]
    with np.errstate(invalid="ignore"):  # infinity less infinity
        moved = [
            float(abs(together[name] - np.concatenate([scores[name] for scores in alone])).max())
            for name in together
        ]
    if not np.isfinite(moved).all():
        raise ScoreError(
            f"member {ready.member.card.name} gave NaN or infinity for images of noise. Export it "
            f"again, or leave it out"
        )
    return max(moved)


def outputs_of(member: Member) -> dict[str, str]:
    return {head.name: graph.probs_name(head) for head in member.card.heads}


@contextmanager
def blamed(member: Member) -> Iterator[None]:
    """Name a member's file in what its graph raises."""
    try:
        yield
    except (MemberError, ScoreError) as error:
        raise MemberError(f"{member.path}: {error}") from error


def prove(ready: ReadyMember, n_views: int) -> float:
    """Run a probe batch; check the shapes, and that the card's activation is the right one.

    Returns the seconds that an image took in all views the second time.

    An image alone is tried too on the CPU, where a run has batches of every size. Elsewhere every
    batch is padded to one size, and another would be tuned for. There, and where the batch axis is
    fixed, the first image is tried again among black ones. Its prediction must not change.
    """
    card = ready.member.card
    pre = card.preprocess
    rows = ready.batch if ready.fixed_batch else PROBE
    if rows * ready.shape[0] * ready.shape[1] > _PROBE_PIXELS:
        raise MemberError(
            f"{ready.member.path}: {rows} images of {pre.size} pixels are more than a probe takes "
            f"({_PROBE_PIXELS} pixels). Export it again for smaller images, or a smaller batch"
        )
    images = probe_images((rows, *ready.shape))
    values = _probed(ready, images, n_views)
    alone = not ready.fixed_batch and ready.scorer.provider not in PADDED
    again = images[:1] if alone else among_black(images)
    began = time.perf_counter()
    member, apart = ready.member, _probed(ready, again, n_views)
    seconds = (time.perf_counter() - began) / len(again)
    check_independent(member.model, card, member.path, values, apart)
    for head in card.heads:
        _check_activation(ready.member, head, values[f"{head.name}/raw"])
        _check_box_scores(ready.member, head, values[f"{head.name}/raw"])
    return seconds


def prove_agreement(ready: ReadyMember, full: ModelProto, images: Pixels, how: How) -> Agreement:
    """Hold what a member gives against its graph in float32 by ONNX Runtime; return how far off.

    Args:
        ready: The member, in another precision or by another runtime.
        full: Its composed graph as it is.
        images: Images that it takes, uint8 (N, H, W, C).
        how: How it computes, and how far off it may be.

    Raises:
        MemberError: it overflows, or differs by more than is accepted.
        ScoreError: the member failed.
    """
    member, count = ready.member, len(images)
    rows = _rows_held(ready)
    images = np.concatenate([images, images[np.arange(-count % rows) % count]])
    scorer = OnnxScorer(
        full.SerializeToString(), outputs_of(member), device="cpu", folder=member.folder
    )
    parts = [images[at : at + rows] for at in range(0, len(images), rows)]
    before, after = ([s.score(part) for part in parts] for s in (scorer, ready.scorer))
    found = []
    for head in member.card.heads:
        full_rows, other_rows = (
            np.concatenate([p[head.name] for p in s])[:count] for s in (before, after)
        )
        found.append(check_agreement(head, full_rows, other_rows, how))
    return together(found)


def _rows_held(ready: ReadyMember) -> int:
    """Return how many images a batch has that is held: as many as a batch of it is padded to."""
    padded = ready.fixed_batch or ready.scorer.provider == OPENVINO
    return ready.batch if padded else HELD


def prove_conversion(member: Member) -> None:
    """Compare a member brought up from an old opset with its original, on a probe batch."""
    original = ModelProto()
    original.ParseFromString(member.path.read_bytes())
    original = adapted(original, member.card, member.path)
    name = input_of(original).name
    pre = member.card.preprocess
    shape = (member.batch or 2, pre.size.height, pre.size.width, len(pre.mean))
    pixels = (probe_images(shape) / 255 - pre.mean) / pre.std
    feeds = {name: np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)}
    with blamed(member):
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


def _probed(ready: ReadyMember, images: Pixels, n_views: int) -> Mapping[str, NDArray[np.float32]]:
    """Return the outputs of a probe batch, and `<head>/raw` (V, N, C), what the member gave."""
    card, rows = ready.member.card, len(images)
    names = {f"{h.name}/raw": graph.raw_name(h) for h in card.heads}
    names |= {h.name: graph.probs_name(h) for h in card.heads}
    try:
        values = ready.scorer.outputs(images, names)
    except ScoreError as error:
        raise MemberError(
            f"{ready.member.path}: it fails on {rows} images in {n_views} views: {error}. Perhaps "
            f"its batch axis is fixed inside: export it again with dynamic shapes, or by "
            f"`ensemble export`"
        ) from error
    for head in card.heads:
        raw = values[f"{head.name}/raw"]
        expected = (n_views, rows, head.columns)
        if raw.shape != expected:
            raise MemberError(
                f"{ready.member.path}: output {head.output!r} gives {raw.shape} for {rows} "
                f"images in {n_views} views; its card says {expected}"
            )
    return values


def _check_box_scores(member: Member, head: Head, raw: NDArray[np.float32]) -> None:
    """Check that the scores of boxes lie in [0, 1] on a probe batch; `raw` is (V, N, C)."""
    if head.boxes is None:
        return
    scores = raw[..., -head.boxes.count :]
    if (scores < 0).any() or (scores > 1).any():  # NaN is dealt with where boxes are chosen
        raise MemberError(
            f"{member.path}: output {head.boxes.scores!r} gives scores from {scores.min():.3g} to "
            f"{scores.max():.3g}; expected 0 to 1. Export it again with the sigmoid inside"
        )


def _are_probabilities(head: Head, raw: NDArray[np.float32]) -> bool | None:
    """Tell whether outputs (V, N, C), or their exp where the card says so, are probabilities.

    None where they do not show it.
    """
    if not np.isfinite(raw).all() or not TASKS[head.task].bounded:
        return None  # a member that gives NaN is dealt with where it is scored, by --on-nan
    with np.errstate(over="ignore"):  # infinity is no probability
        values = np.exp(raw) if head.activation == "exp" else raw
    if (values < 0).any() or (values > 1).any():
        return False
    if TASKS[head.task].several:  # the logits of a few labels may well lie there
        return True if len(head.classes) >= _CONCLUSIVE else None
    return bool((abs(values.sum(-1) - 1) <= _ROW_SUM).all())


def _check_activation(member: Member, head: Head, raw: NDArray[np.float32]) -> None:
    """Hold the card's activation against what the member gave, (V, N, C), on a probe batch."""
    done = _are_probabilities(head, raw)
    if done is None or done == (head.activation in ("none", "exp")):
        return
    found = "probabilities already" if done else "no probabilities"
    right = "none" if done else ("sigmoid" if TASKS[head.task].several else "softmax")
    raise MemberError(
        f"{member.path}: its card says activation {head.activation!r} for head {head.name!r}, and "
        f"output {head.output!r} gives {found} on a probe batch (values from {raw.min():.3g} to "
        f"{raw.max():.3g}). The activation is probably {right!r}: export it "
        f"again with --activation {right}, or write the card beside it anew"
    )
