"""Members opened, given their views, and shown to run, before any image is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ensemble.arrays import Pixels
from ensemble.errors import MemberError
from ensemble.files.atomic import sha256_bytes, sha256_json
from ensemble.inference.probe import (
    HALVES,
    blamed,
    outputs_of,
    probe_images,
    prove,
    prove_conversion,
    prove_float16,
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
from ensemble.runtime.devices import CPU, TENSORRT, engine_host, provider_of, runs_on_cpu
from ensemble.runtime.float16 import to_float16
from ensemble.runtime.session import OnnxScorer
from ensemble.views.pixels import can_view_on_host, output_size
from ensemble.views.policy import IDENTITY, Shaped, check_distinct

_CACHED: Final = 2 * 224 * 224
_SPILLED: Final = 2 * _CACHED
"""Pixels of an image in all views, from which on each view is a forward of its own on the CPU."""

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
        device: See `OnnxScorer`.
        threads: Threads in all; 0 for every processor.
        batch: Images a forward, unless the member's batch axis is fixed; "auto" guesses.
        precision: What the member computes in; fp16 is compared with fp32 on a probe batch.
        cache: Where TensorRT keeps its engines, in a folder for each graph; None for nowhere.

    Raises:
        MemberError: the graph does not run, or its outputs are not what the card says.
        ProviderError: the device does not start.
    """
    card = member.card
    _check_batch(member)
    # weights kept outside the file stay there, unless float16 has to rewrite them
    full = with_external_data(member) if precision == "fp16" else member.model
    with blamed(member):
        inner = to_float16(full) if precision == "fp16" else full
        split = _forward_each(member, shaped, device)
        model = graph.compose_graph(inner, card, shaped, merge, split=split).SerializeToString()
        scorer = OnnxScorer(
            model,
            outputs_of(member),
            device=device,
            threads=threads,
            folder=member.folder,
            precision=precision,
            cache=cache and _engines(cache, member, model, precision, device),
        )
    # proven in this order: that it runs, then what was changed of it, opset and precision
    ready = _with_batch(member, scorer, shaped, batch, split=split)
    prove(ready, len(shaped))
    if member.converted:
        prove_conversion(member)
    if precision == "fp16":
        count = ready.batch if ready.fixed_batch else HALVES
        hold_float16(ready, merge, device, probe_images((count, *ready.shape)))
    return ready


def hold_float16(ready: ReadyMember, merge: Merge, device: str, images: Pixels) -> None:
    """Hold a member in float16 against float32, on images uint8 (N, H, W, C) that it takes.

    Raises:
        MemberError: float16 does not suit the member.
    """
    member, shaped = ready.member, shape_views(ready.member, ready.policy)
    split = _forward_each(member, shaped, device)
    with blamed(member):
        full = graph.compose_graph(member.model, member.card, shaped, merge, split=split)
        prove_float16(ready, full, images)


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


def _engines(
    cache: Path, member: Member, model: bytes, precision: Precision, device: str
) -> Path | None:
    """Return the folder for TensorRT's engines of a graph, named by all that an engine depends on.

    That is what it holds, weights too, as ONNX Runtime goes by node names; and what it was built
    for: an engine that was copied from another machine is not found, and built anew.
    """
    if provider_of(device) != TENSORRT:
        return None
    holds = [member.sha256, sha256_bytes(model), precision]
    return cache / sha256_json([*holds, *engine_host(device)])[:16]


def _forward_each(member: Member, shaped: Sequence[Shaped], device: str) -> bool:
    """Tell whether each view is a forward of its own: no room in a cache or in a fixed batch."""
    if member.card.batch == "alone":
        return True
    if member.batch is None:
        return runs_on_cpu(device) and _pixels(shaped) > _SPILLED
    return len({entry.size for entry in shaped}) > 1 or member.batch % len(shaped) > 0


def _with_batch(
    member: Member,
    scorer: OnnxScorer,
    shaped: Sequence[Shaped],
    batch: BatchSize,
    *,
    split: bool,
) -> ReadyMember:
    policy = tuple(entry.view for entry in shaped)
    if member.batch is not None:
        rows = member.batch if split else member.batch // len(shaped)
        return ReadyMember(member, scorer, policy, rows, fixed_batch=True, views=policy)
    if member.card.batch == "alone":
        return ReadyMember(member, scorer, policy, 1, fixed_batch=True, views=policy)
    if batch != "auto":
        return ReadyMember(member, scorer, policy, batch, fixed_batch=False, views=policy)
    guess = _guessed(_pixels(shaped)) if scorer.provider == CPU else _LARGEST
    sizes = dict.fromkeys(max(1, int(guess * step)) for step in _STEPS)
    return ReadyMember(
        member, scorer, policy, guess, fixed_batch=False, views=policy, sizes=tuple(sizes)
    )


def _pixels(shaped: Sequence[Shaped]) -> int:
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
