"""Members opened, given their views, and shown to run, before any image is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ensemble.arrays import Pixels
from ensemble.errors import MemberError
from ensemble.inference.open_scorer import SessionOptions, open_scorer
from ensemble.inference.probe import (
    HALVES,
    HELD,
    blamed,
    probe_images,
    prove,
    prove_agreement,
    prove_conversion,
)
from ensemble.inference.ready import BatchSize, ReadyMember
from ensemble.label_map import LabelMap
from ensemble.members.member import Member, open_member, with_external_data
from ensemble.members.together import (
    check_tasks,
    check_together,
    check_voters,
    note_of_single_folds,
)
from ensemble.progress import Listener, Quiet
from ensemble.records import Merge, Precision, View
from ensemble.runtime import graph
from ensemble.runtime.agreement import Agreement, How, how_computed
from ensemble.runtime.devices import GPU, OPENVINO, provider_of, runs_on_cpu
from ensemble.runtime.float16 import is_quantised, to_float16
from ensemble.views.pixels import can_view_on_host, output_size
from ensemble.views.policy import IDENTITY, Shaped, check_distinct

_CACHED: Final = 2 * 224 * 224
_SPILLED: Final = 2 * _CACHED
"""Pixels of an image in all views, from which on they are several forwards on the CPU: each of as
many views as have `_CACHED` pixels, or one more."""

_LARGEST: Final = 32
_STEPS: Final = (0.25, 0.5, 1, 2, 4)


def open_members(
    paths: Sequence[Path],
    head: str | None,
    listener: Listener | None = None,
    label_map: LabelMap | None = None,
) -> list[Member]:
    """Open members and check that they can vote together; see `members.open_member`.

    They do on a head, or with a label map on its tasks. A listener is told of families that look
    like folds whose names were misread, and of heads that answer no task.
    """
    members = [open_member(path) for path in paths]
    check_voters(members)
    if label_map is None:
        check_together(members, head)
    else:
        for told in check_tasks(members, label_map):
            (listener or Quiet()).warn(told)
    if listener and (note := note_of_single_folds([member.card for member in members])):
        listener.warn(note)
    return members


def shape_views(member: Member, policy: Sequence[View]) -> list[Shaped]:
    """Give each view its size for a member, and refuse what the member cannot take.

    Raises:
        UsageError: two views that are the same for this member's size, or a crop too large.
        MemberError: a view of another size than the member's input, which is fixed.
    """
    card = member.card
    size = card.preprocess.size
    check_distinct(policy, size)
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
) -> ReadyMember:
    """Start a member under views; see `start_shaped`.

    Raises:
        UsageError: the views do not suit the member.
        EnsembleError: as for `start_shaped`.
    """
    shaped = shape_views(member, policy)
    return start_shaped(
        member,
        shaped,
        merge,
        device=device,
        threads=threads,
        batch=batch,
        precision=precision,
    )


def start_shaped(
    member: Member,
    shaped: Sequence[Shaped],
    merge: Merge,
    *,
    device: str,
    threads: int,
    batch: BatchSize,
    precision: Precision = "fp32",
    cache: Path | None = None,
) -> ReadyMember:
    """Compose a member's graph, start its session, and prove it on a probe batch.

    Args:
        member: The opened member.
        shaped: The views, in order, with their sizes; see `shape_views`.
        merge: How their outputs become one.
        device: See `runtime.devices.check_device`.
        threads: Threads in all; 0 for every processor.
        batch: Images a forward, unless the member's batch axis is fixed; "auto" guesses.
        precision: What the member computes in; it, and OpenVINO, are compared with float32 by ONNX
            Runtime on a probe batch.
        cache: Where TensorRT keeps its engines, in a folder for each graph; None for nowhere.

    Raises:
        MemberError: the graph does not run, or its outputs are not what the card says.
        ProviderError: the device does not start.
    """
    card = member.card
    _check_batch(member)
    # weights kept outside the file stay there, unless they are rewritten, or read by OpenVINO
    inside = precision == "fp16" or provider_of(device) == OPENVINO
    full = with_external_data(member) if inside else member.model
    at_once = views_at_once(member, shaped, device)
    with blamed(member):
        inner = to_float16(full) if precision == "fp16" else full
        whole = graph.compose_graph(inner, card, shaped, merge, at_once=at_once)
        model = whole.SerializeToString()
        rows = _batches(member, shaped, batch, provider_of(device), at_once).rows
        options = SessionOptions(device, threads, precision, cache, rows)
        scorer = open_scorer(member, model, options)
    # proven in this order: that it runs, then what was changed of it, opset and precision
    batches = _batches(member, shaped, batch, scorer.provider, at_once)
    policy = tuple(entry.view for entry in shaped)
    ready = ReadyMember(
        member, scorer, policy, batches.rows, batches.fixed, views=policy, sizes=batches.sizes
    )
    seconds = prove(ready, len(shaped))
    if member.converted:
        prove_conversion(member)
    if how := how_computed(device, precision, quantised=is_quantised(member.model)):
        few = HALVES if precision == "fp16" else HELD
        count = ready.batch if ready.fixed_batch else few
        hold(ready, merge, how, probe_images((count, *ready.shape)))
    return replace(ready, seconds=seconds)


def hold(ready: ReadyMember, merge: Merge, how: How, images: Pixels) -> Agreement:
    """Hold a member against float32 by ONNX Runtime, on images uint8 (N, H, W, C) that it takes.

    Returns how far off it is, all heads together.

    Raises:
        MemberError: the precision or the runtime does not suit the member.
    """
    member, shaped = ready.member, shape_views(ready.member, ready.policy)
    at_once = views_at_once(member, shaped, "cpu")
    with blamed(member):
        full = graph.compose_graph(member.model, member.card, shaped, merge, at_once=at_once)
        return prove_agreement(ready, full, images, how)


def host_views(merge: Merge, policies: Sequence[Sequence[View]], members: Sequence[Member]) -> bool:
    """Tell whether the members' views, a policy each, are evaluated one by one, on the host."""
    return all(
        can_view_on_host(policy, merge, [member.card.preprocess.size])
        for policy, member in zip(policies, members, strict=True)
    )


def graph_views(
    merge: Merge, shaped: Sequence[Sequence[Shaped]], members: Sequence[Member]
) -> Sequence[Sequence[Shaped]]:
    """Return the views of each member's graph in an early exit: none that the host makes."""
    policies = [[entry.view for entry in each] for each in shaped]
    if not host_views(merge, policies, members):
        return shaped
    return [[Shaped(IDENTITY, member.card.preprocess.size)] for member in members]


def views_at_once(member: Member, shaped: Sequence[Shaped], device: str) -> int:
    """Return how many views go into a forward: as have room in a cache or a fixed batch; 0: all."""
    if member.card.batch == "alone":
        return 1
    if member.batch is None:
        spilled = runs_on_cpu(device) and pixels_of(shaped) > _SPILLED
        return -(-_CACHED // (pixels_of(shaped) // len(shaped))) if spilled else 0
    several = len({entry.size for entry in shaped}) > 1
    return 1 if several or member.batch % len(shaped) > 0 else 0


@dataclass(frozen=True, slots=True)
class _Batches:
    """Images a forward; whether every batch must have as many; other sizes that are worth a try."""

    rows: int
    fixed: bool
    sizes: tuple[int, ...] = ()


def _batches(
    member: Member, shaped: Sequence[Shaped], batch: BatchSize, provider: str, at_once: int
) -> _Batches:
    if member.batch is not None:
        return _Batches(member.batch // (at_once or len(shaped)), fixed=True)
    if member.card.batch == "alone":
        return _Batches(1, fixed=True)
    if batch != "auto":
        return _Batches(batch, fixed=False)
    guess = _LARGEST if provider in GPU else _guessed(pixels_of(shaped))
    if provider == OPENVINO:  # compiled for one size
        return _Batches(guess, fixed=False)
    sizes = dict.fromkeys(max(1, int(guess * step)) for step in _STEPS)
    return _Batches(guess, fixed=False, sizes=tuple(sizes))


def pixels_of(shaped: Sequence[Shaped]) -> int:
    """Return how many pixels an image has in all views."""
    return sum(entry.size.height * entry.size.width for entry in shaped)


def _guessed(pixels: int) -> int:
    """Return the power of two of images whose views have as many pixels as suit a cache."""
    return int(2 ** min(max(1, _CACHED // pixels).bit_length() - 1, _LARGEST.bit_length() - 1))


def _check_batch(member: Member) -> None:
    """Check that a batch axis that is fixed does not hold several images that must be alone."""
    if member.card.batch == "alone" and member.batch not in (None, 1):
        raise MemberError(
            f"{member.path}: its batch axis is fixed at {member.batch}, and its card says that "
            f"images are scored one by one. Export it again with a batch of 1, or a dynamic one "
            f"(dynamic_shapes, or `ensemble export`)"
        )
