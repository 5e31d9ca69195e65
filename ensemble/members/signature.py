"""What a graph takes and gives, held against its card: one input, and an output for each head."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import onnx
from onnx import TensorProto

from ensemble.errors import MemberError
from ensemble.members.card import BoxOutput, Card
from ensemble.members.layout import dims_of, inputs_of, layout_of

MAX_BATCH: Final = 4096
"""The largest batch axis that an export may have frozen."""

_SCORES: Final = (
    TensorProto.UNDEFINED, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE,
    TensorProto.BFLOAT16,
)  # fmt: skip
"""What an output may hold; undefined where the file does not tell."""

_CHANNELS_LAST: Final = ". Its channels come last: write the card anew with --layout nhwc"


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
    return inputs_of(model)[0]


def _check_input(model: onnx.ModelProto, card: Card, path: Path) -> int | None:
    """Check that the one input takes the card's images; return its batch axis, if it is frozen."""
    inputs = inputs_of(model)
    if len(inputs) != 1:
        names = [i.name for i in inputs]
        raise MemberError(
            f"{path}: expected one input, an image; found {names}. Fix the others inside the net, "
            f"or export a net that takes the image alone"
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        raise MemberError(
            f"{path}: its input is {_named(kind)}; expected FLOAT or FLOAT16, NCHW, or UINT8. "
            f"Convert it again with a float input, or put a Cast in front of the net"
        )
    dims = dims_of(inputs[0])
    last = layout_of(model, len(card.preprocess.mean)) == "nhwc"
    _check_shape(dims, card, path, _CHANNELS_LAST if last else "")
    if dims[0] is not None and dims[0] > MAX_BATCH:
        raise MemberError(f"{path}: its batch axis is {dims[0]}; expected 1 to {MAX_BATCH}")
    return dims[0]


def _check_shape(dims: Sequence[int | None], card: Card, path: Path, hint: str) -> None:
    """Check the axes of an input, None where any length will do, against the card's."""
    pre = card.preprocess
    sides = (None, None) if card.dynamic_size else (pre.size.height, pre.size.width)
    expected = (None, len(pre.mean), *sides)
    if not _fit(dims, expected):
        found = _joined(dims, "?" * len(dims)) or "of no shape"
        raise MemberError(
            f"{path}: its input is {found}; its card says {_joined(expected, 'NCHW')} (NCHW){hint}"
        )


def _fit(dims: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Tell whether axes are those that are expected; None, on either side, is any length."""
    return len(dims) == len(expected) and all(
        None in pair or pair[0] == pair[1] for pair in zip(dims, expected, strict=True)
    )


def _joined(dims: Sequence[int | None], free: str) -> str:
    """Write a shape; an axis of any size is its letter of `free`."""
    return "x".join(letter if d is None else str(d) for d, letter in zip(dims, free, strict=True))


def _check_outputs(model: onnx.ModelProto, card: Card, path: Path) -> None:
    outputs = {o.name: o for o in model.graph.output}
    for head in card.heads:
        if head.output not in outputs:
            known = ", ".join(outputs)
            raise MemberError(
                f"{path}: no output {head.output!r}; the file has: {known}. Name the one that head "
                f"{head.name!r} reads by --output-name {head.name}=NAME"
            )
        _check_scores(outputs[head.output], path)
        if head.boxes is not None:
            _check_boxes(outputs, head.output, head.boxes, path)
            continue
        dims = outputs[head.output].type.tensor_type.shape.dim
        columns = dims[1].dim_value if len(dims) == 2 else 0
        if columns > 0 and columns != len(head.classes):  # -1 is of any length, as of an input
            raise MemberError(
                f"{path}: output {head.output!r} has {columns} columns; head {head.name!r} of "
                f"its card has {len(head.classes)} classes"
            )


def _check_boxes(
    outputs: Mapping[str, onnx.ValueInfoProto], output: str, boxes: BoxOutput, path: Path
) -> None:
    """Check that a detector has boxes (N, K, 4) and scores (N, K), as many as its card says."""
    if boxes.scores not in outputs:
        raise MemberError(
            f"{path}: no output {boxes.scores!r}, the scores of its boxes; the file has: "
            f"{', '.join(outputs)}"
        )
    _check_scores(outputs[boxes.scores], path)
    for name, expected in ((output, (boxes.count, 4)), (boxes.scores, (boxes.count,))):
        dims = outputs[name].type.tensor_type.shape.dim
        if dims and not _fit(dims_of(outputs[name]), (None, *expected)):
            shape = "x".join(["N", *map(str, expected)])
            raise MemberError(
                f"{path}: output {name!r} has the axes {[d.dim_value or '?' for d in dims]}; its "
                f"card says {shape}: a fixed number of boxes, unused rows with the score 0"
            )


def _check_scores(output: onnx.ValueInfoProto, path: Path) -> None:
    """Check that an output holds scores: a tensor of floats, or of a type that is not told."""
    if output.type.WhichOneof("value") in ("sequence_type", "map_type"):
        raise MemberError(
            f"{path}: output {output.name!r} is a sequence of maps (ZipMap), no tensor. Convert it "
            f"again with options={{'zipmap': False}} (skl2onnx, onnxmltools), and name the output "
            f"of the probabilities with --output-name"
        )
    kind = output.type.tensor_type.elem_type
    if kind not in _SCORES:
        raise MemberError(
            f"{path}: output {output.name!r} is {_named(kind)}: labels, perhaps; expected scores "
            f"in floating point. Name another with --output-name, or export the net without its "
            f"ArgMax"
        )


def _named(kind: int) -> str:
    """Return the name of a type of tensors."""
    names: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    return names.get(kind, "unknown")
