"""One ONNX graph for a member: normalise, views, member, activation, merge.

The wrapper is written at the member's own opset (13 or later), with operators that are spelled
alike in all of them; so no ReduceMean, whose axes moved, and no Split.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, compose, helper

from ensemble.members.card import Card, Head
from ensemble.records import Merge, Preprocess, Size
from ensemble.runtime.merges import Builder, activated, check_merge, guarded, in_order, merged
from ensemble.runtime.view_nodes import viewed
from ensemble.views.pixels import jitters_of
from ensemble.views.policy import Shaped

INPUT: Final = "ensemble/images"
NORMALISED: Final = "ensemble/normalised"
_OPSET: Final = 13
_IR: Final = 8


def compose_graph(
    model: ModelProto,
    card: Card,
    views: Sequence[Shaped],
    merge: Merge,
    *,
    at_once: int = 0,
    keep_views: bool = False,
) -> ModelProto:
    """Wrap a member's model so that uint8 pixels go in and merged probabilities come out.

    Args:
        model: The member, at opset 13 or later, with one float NCHW input.
        card: What the member says of itself.
        views: The views in order, with their sizes.
        merge: How the views' outputs become one; see `check_merge`.
        at_once: How many views of a shape go through the member in one forward, at most; 0 for
            all. Fewer rows at once fit into a processor's cache.
        keep_views: Also output each head's probabilities of every view.

    Returns:
        A model with the input `INPUT`, uint8 (N, H, W, C), where H is that of a part for each
        jitter of the views, one below the other; and for each head the output
        `probs_name(head)`, float32 (N, C), with rows of NaN where the member gave NaN or
        infinity in any view, `raw_name(head)`, float32 (V, N, C), what the member itself gave, and
        with `keep_views` `views_name(head)`, float32 (V, N, C). C is `head.columns`; boxes are as
        the member gave them, NaN and all.

    Raises:
        MemberError: the merge does not suit a head.
    """
    for head in card.heads:
        check_merge(head, merge, len(views))
    build = Builder(prefix="ensemble")
    raw = _member_outputs(build, model, card, views, at_once)
    outputs: list[onnx.ValueInfoProto] = []
    for head in card.heads:
        together = merged(build, raw[head.name], head, merge, len(views))
        probs = together if head.boxes else guarded(build, together, raw[head.name])
        build.name(probs, probs_name(head))
        build.name(raw[head.name], raw_name(head))
        columns = head.columns
        outputs.append(_float_info(probs_name(head), ["N", columns]))
        outputs.append(_float_info(raw_name(head), [len(views), "N", columns]))
        if keep_views:
            build.name(activated(build, raw[head.name], head), views_name(head))
            outputs.append(_float_info(views_name(head), [len(views), "N", columns]))
    pre, parts = card.preprocess, _parts(views)
    shape: list[int | str] = ["N", pre.size.height * parts, pre.size.width, len(pre.mean)]
    graph = helper.make_graph(
        build.nodes,
        "ensemble",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)],
        outputs,
        [*model.graph.initializer, *build.constants],
    )
    composed = helper.make_model(graph, opset_imports=list(model.opset_import))
    composed.ir_version = max(model.ir_version, _IR)
    composed.functions.extend(model.functions)
    return composed


def compose_normalisation(pre: Preprocess) -> ModelProto:
    """Return the first nodes of every composed graph alone: from pixels to a member's input.

    Its input is `INPUT`, uint8 (N, H, W, C); its output `NORMALISED`, float32 (N, C, H, W).
    """
    build = Builder(prefix="ensemble")
    build.name(_normalised(build, pre), NORMALISED)
    size, channels = pre.size, len(pre.mean)
    shape: list[int | str] = ["N", size.height, size.width, channels]
    graph = helper.make_graph(
        build.nodes,
        "ensemble",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)],
        [_float_info(NORMALISED, ["N", channels, size.height, size.width])],
        build.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR
    return model


def probs_name(head: Head) -> str:
    """Name the output that holds a head's merged probabilities."""
    return f"ensemble/probs/{head.name}"


def raw_name(head: Head) -> str:
    """Name the output that holds what the member gave for each view."""
    return f"ensemble/raw/{head.name}"


def views_name(head: Head) -> str:
    """Name the output that holds a head's probabilities of each view."""
    return f"ensemble/views/{head.name}"


def _member_outputs(
    build: Builder, model: ModelProto, card: Card, views: Sequence[Shaped], at_once: int
) -> dict[str, str]:
    """Run the member once for each group of views; name each head's (V, N, C) tensor."""
    base = _normalised(build, card.preprocess, _parts(views))
    jitters = jitters_of([shaped.view for shaped in views])
    show = partial(viewed, build, base, size=card.preprocess.size, jitters=jitters)
    groups = _view_groups(views, at_once)
    parts: dict[str, list[str]] = {head.name: [] for head in card.heads}
    for number, rows in enumerate(groups):
        images = [show(views[v].view) for v in rows]
        batch = build.op("Concat", *images, axis=0) if len(images) > 1 else images[0]
        given = _passed(build, batch, model, f"ensemble/pass{number}/" if number else "")
        for head in card.heads:
            shape = build.integers(len(rows), -1, head.columns)
            parts[head.name].append(build.op("Reshape", _output_of(build, given, head), shape))
    order = [v for rows in groups for v in rows]
    return {name: in_order(build, tensors, order) for name, tensors in parts.items()}


def _parts(views: Sequence[Shaped]) -> int:
    """Return how many parts of an image go in, one below the other: one for each jitter."""
    return max(1, len(jitters_of([shaped.view for shaped in views])))


def _output_of(build: Builder, given: Mapping[str, str], head: Head) -> str:
    """Name a head's float output; of a detector an image's boxes, and then their scores."""
    output = build.op("Cast", given[head.output], to=TensorProto.FLOAT)
    if head.boxes is None:
        return output
    boxes = build.op("Flatten", output, axis=1)
    scores = build.op("Cast", given[head.boxes.scores], to=TensorProto.FLOAT)
    return build.op("Concat", boxes, scores, axis=1)


def _view_groups(views: Sequence[Shaped], at_once: int) -> list[list[int]]:
    """Return the places of the views that go through the member together: some of one shape."""
    alike: dict[Size, list[int]] = {}
    for number, shaped in enumerate(views):
        alike.setdefault(shaped.size, []).append(number)
    return [
        rows[start : start + (at_once or len(rows))]
        for rows in alike.values()
        for start in range(0, len(rows), at_once or len(rows))
    ]


def _passed(build: Builder, batch: str, model: ModelProto, prefix: str) -> dict[str, str]:
    """Send a batch through a copy of the member; return its outputs by the member's names."""
    copy = _copy_of(model, prefix)
    _feed(build, batch, copy)
    build.nodes.extend(copy.node)
    return {o.name: c.name for o, c in zip(model.graph.output, copy.output, strict=True)}


def _normalised(build: Builder, pre: Preprocess, parts: int = 1) -> str:
    """uint8 NHWC to normalised float32 NCHW, in the steps of torchvision's ToTensor, Normalize.

    Blue, green, red for a member that takes them so.

    In (N, C, H * W): ONNX Runtime cannot move the Transpose below, as it would for an int8 member,
    to where the means and deviations broadcast over the last axis, many times slower.
    """
    channels, size = len(pre.mean), Size(pre.size.height * parts, pre.size.width)
    pixels = build.op("Cast", build.transpose(INPUT, [0, 3, 1, 2]), to=TensorProto.FLOAT)
    if pre.channel_order == "bgr":
        pixels = build.op("Gather", pixels, build.integers(2, 1, 0), axis=1)
    flat = build.op("Reshape", pixels, build.integers(0, channels, size.height * size.width))
    mean = build.constant(np.array(pre.mean, np.float32).reshape(1, -1, 1))
    std = build.constant(np.array(pre.std, np.float32).reshape(1, -1, 1))
    scaled = build.op("Div", flat, build.number(255))
    normal = build.op("Div", build.op("Sub", scaled, mean), std)
    return build.op("Reshape", normal, build.integers(0, channels, size.height, size.width))


def _copy_of(model: ModelProto, prefix: str) -> GraphProto:
    held = {t.name for t in model.graph.initializer}
    copy = GraphProto(name="member")
    copy.node.extend(model.graph.node)
    copy.input.extend(i for i in model.graph.input if i.name not in held)
    copy.output.extend(model.graph.output)
    if not prefix:
        return copy
    return compose.add_prefix_graph(copy, prefix, rename_initializers=False)


def _feed(build: Builder, batch: str, copy: GraphProto) -> None:
    kind = copy.input[0].type.tensor_type.elem_type
    batch = batch if kind == TensorProto.FLOAT else build.op("Cast", batch, to=kind)
    build.name(batch, copy.input[0].name)


def _float_info(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
