"""Nodes before a member: an image under a view, from its part of the input on."""

from collections.abc import Sequence
from typing import Final, assert_never, cast

import numpy as np

from ensemble.boxes import Jitter
from ensemble.records import Op, Size, View
from ensemble.runtime.merges import Builder
from ensemble.views.pixels import axis_indices, jitter_of

_END: Final = np.iinfo(np.int64).max


def viewed(build: Builder, base: str, view: View, size: Size, jitters: Sequence[Jitter]) -> str:
    """Name the tensor of images under a view.

    Args:
        build: collects the nodes.
        base: the images, (N, C, H, W); where there are jitters a part for each, below each other.
        view: what is done to them.
        size: the size of an image, or of a part of it.
        jitters: those of all views, in the order of the parts; none where there is one part.
    """
    tensor = base
    if jitters:
        top = jitters.index(jitter_of(view)) * size.height
        tensor = build.cut(base, 2, top, top + size.height)
    for op in view.ops:
        tensor, size = _applied(build, tensor, op, size)
    return tensor


def _applied(build: Builder, tensor: str, op: Op, size: Size) -> tuple[str, Size]:
    match op.name:
        case "hflip":
            return build.cut(tensor, 3, -1, -_END, -1), size
        case "vflip":
            return build.cut(tensor, 2, -1, -_END, -1), size
        case "rot90":
            return _turned(build, tensor, cast(int, op.args[0]), size)
        case "add":
            return build.op("Add", tensor, build.number(cast(float, op.args[0]))), size
        case "multiply":
            return build.op("Mul", tensor, build.number(cast(float, op.args[0]))), size
        case "jitter":  # done: the part has been taken
            return tensor, size
        case "crop" | "scale" | "resize":
            return _indexed(build, tensor, op, size)
        case _:
            assert_never(op.name)


def _turned(build: Builder, tensor: str, turns: int, size: Size) -> tuple[str, Size]:
    if turns == 2:
        flipped = build.cut(tensor, 2, -1, -_END, -1)
        return build.cut(flipped, 3, -1, -_END, -1), size
    flipped_axis = 2 if turns == 1 else 3
    turned = build.transpose(tensor, [0, 1, 3, 2])
    return build.cut(turned, flipped_axis, -1, -_END, -1), Size(size.width, size.height)


def _indexed(build: Builder, tensor: str, op: Op, size: Size) -> tuple[str, Size]:
    rows, columns = axis_indices(op, size)
    tensor = build.op("Gather", tensor, build.constant(rows), axis=2)
    tensor = build.op("Gather", tensor, build.constant(columns), axis=3)
    return tensor, Size(len(rows), len(columns))
