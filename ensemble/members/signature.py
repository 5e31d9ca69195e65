"""What a graph takes and gives, held against its card: one input, and an output for each head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import onnx
from onnx import TensorProto

from ensemble.errors import MemberError
from ensemble.members.card import Card

MAX_BATCH: Final = 4096
"""The largest batch axis that an export may have frozen."""


def check_signature(model: onnx.ModelProto, card: Card, path: Path) -> int | None:
    """Check that a graph takes the card's images and gives its heads.

    Returns:
        The size of its batch axis where the export froze it, else None.

    Raises:
        MemberError: another input, shape or type, an output that is not there, or other columns.
    """
    batch = _check_input(model, card, path)
    _check_outputs(model, card, path)
    return batch


def input_of(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """Return the one input that is not an initializer; `check_signature` checks that."""
    return _inputs(model)[0]


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    held = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in held]


def _check_input(model: onnx.ModelProto, card: Card, path: Path) -> int | None:
    """Check that the one input takes the card's images; return its batch axis, if it is frozen."""
    inputs = _inputs(model)
    if len(inputs) != 1:
        names = [i.name for i in inputs]
        raise MemberError(f"{path}: expected one input, an image; found {names}")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        kind = dict(map(reversed, TensorProto.DataType.items())).get(tensor.elem_type, "unknown")
        raise MemberError(f"{path}: its input is {kind}; expected FLOAT or FLOAT16, NCHW")
    dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    _check_shape(dims, card, path)
    if dims[0] is not None and not 1 <= dims[0] <= MAX_BATCH:
        raise MemberError(f"{path}: its batch axis is {dims[0]}; expected 1 to {MAX_BATCH}")
    return dims[0]


def _check_shape(dims: Sequence[int | None], card: Card, path: Path) -> None:
    """Check the sides of an input, None where any will do, against the card's."""
    pre = card.preprocess
    sides = (None, None) if card.dynamic_size else (pre.size.height, pre.size.width)
    expected = (None, len(pre.mean), *sides)
    fits = len(dims) == len(expected) and all(
        None in pair or pair[0] == pair[1] for pair in zip(dims, expected, strict=True)
    )
    if not fits:
        raise MemberError(
            f"{path}: its input is {_joined(dims, '?' * len(dims))}; its card says "
            f"{_joined(expected, 'NCHW')} (NCHW)"
        )


def _joined(dims: Sequence[int | None], free: str) -> str:
    """Write a shape; an axis of any size is its letter of `free`."""
    return "x".join(letter if d is None else str(d) for d, letter in zip(dims, free, strict=True))


def _check_outputs(model: onnx.ModelProto, card: Card, path: Path) -> None:
    outputs = {o.name: o for o in model.graph.output}
    for head in card.heads:
        if head.output not in outputs:
            known = ", ".join(outputs)
            raise MemberError(f"{path}: no output {head.output!r}; the file has: {known}")
        dims = outputs[head.output].type.tensor_type.shape.dim
        columns = dims[1].dim_value if len(dims) == 2 else 0
        if columns and columns != len(head.classes):
            raise MemberError(
                f"{path}: output {head.output!r} has {columns} columns; head {head.name!r} of "
                f"its card has {len(head.classes)} classes"
            )
