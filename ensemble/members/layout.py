"""Inputs of another form: channels last, or bytes, brought to float NCHW by nodes in front."""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from ensemble.errors import MemberError
from ensemble.members.card import Card
from ensemble.records import Layout, Preprocess

_INPUT: Final = "ensemble/nchw"
_LEAST_OPSET: Final = 11
"""The opset from which on Round and Clip are spelled as they are here."""


def inputs_of(model: ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not initializers, which older files list among the inputs too."""
    held = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in held]


def dims_of(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return axes of a tensor, None for those of any length: no number, 0, or a negative one.

    Paddle writes -1 for an axis of any length and old CNTK files 0; ONNX Runtime takes both so.
    """
    dims = value.type.tensor_type.shape.dim
    return [d.dim_value if d.dim_value > 0 else None for d in dims]


def layout_of(model: ModelProto, channels: int) -> Layout:
    """Tell where an input has its channels, by its fixed axes; "nchw" where they do not tell."""
    inputs = inputs_of(model)
    dims = dims_of(inputs[0]) if len(inputs) == 1 else []
    last = len(dims) == 4 and dims[3] == channels and dims[1] not in (None, channels)
    any_size = len(dims) == 4 and dims[1:] == [None, None, channels]
    return "nhwc" if last or any_size else "nchw"


def is_adapted(model: ModelProto, card: Card) -> bool:
    """Tell whether `adapted` puts anything in front of a member."""
    inputs = inputs_of(model)
    kind = inputs[0].type.tensor_type.elem_type if len(inputs) == 1 else TensorProto.FLOAT
    return card.layout == "nhwc" or kind == TensorProto.UINT8


def adapted(model: ModelProto, card: Card, path: Path) -> ModelProto:
    """Return the member with a float NCHW input; itself where it has one.

    A Transpose is put in front where its card says channels last; before an input of bytes the
    values are rounded, cut to 0 and 255, and cast.

    Raises:
        MemberError: bytes whose card normalises them, or below opset 11.
    """
    if not is_adapted(model, card):
        return model
    copy = ModelProto()
    copy.CopyFrom(model)
    old = inputs_of(copy)[0]
    kind = old.type.tensor_type.elem_type
    dims: list[int | str | None] = [*dims_of(old)]
    if card.layout == "nhwc" and len(dims) == 4:
        dims = [dims[0], dims[3], dims[1], dims[2]]
    new = helper.make_tensor_value_info(
        _INPUT, TensorProto.FLOAT if kind == TensorProto.UINT8 else kind, dims
    )
    nodes, tensor = [], _INPUT
    if kind == TensorProto.UINT8:
        _check_bytes(model, card.preprocess, path)
        nodes, tensor = _to_bytes(copy.graph), f"{_INPUT}/bytes"
    if card.layout == "nhwc":
        nodes.append(helper.make_node("Transpose", [tensor], [old.name], perm=[0, 2, 3, 1]))
    else:
        nodes.append(helper.make_node("Identity", [tensor], [old.name]))
    _put_in_front(copy.graph, new, old, nodes)
    return copy


def _to_bytes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return what makes bytes of floats that are whole but for rounding; adds its bounds."""
    rounded, bounded = f"{_INPUT}/round", f"{_INPUT}/clip"
    bounds = [numpy_helper.from_array(np.array(v, np.float32), f"{_INPUT}/{v}") for v in (0, 255)]
    graph.initializer.extend(bounds)
    return [
        helper.make_node("Round", [_INPUT], [rounded]),
        helper.make_node("Clip", [rounded, *(bound.name for bound in bounds)], [bounded]),
        helper.make_node("Cast", [bounded], [f"{_INPUT}/bytes"], to=TensorProto.UINT8),
    ]


def _put_in_front(
    graph: onnx.GraphProto,
    new: onnx.ValueInfoProto,
    old: onnx.ValueInfoProto,
    nodes: list[onnx.NodeProto],
) -> None:
    rest = [value for value in graph.input if value.name != old.name]
    behind = list(graph.node)
    del graph.input[:], graph.node[:]
    graph.input.extend([new, *rest])
    graph.node.extend([*nodes, *behind])


def _check_bytes(model: ModelProto, pre: Preprocess, path: Path) -> None:
    plain = set(pre.mean) == {0.0} and all(abs(std * 255 - 1) < 1e-6 for std in pre.std)
    if not plain:
        raise MemberError(
            f"{path}: its input is UINT8, bytes as they are, and its card normalises them. Write "
            f"the card anew with --input-range 255, means of 0 and deviations of 1"
        )
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < _LEAST_OPSET:
        raise MemberError(
            f"{path}: an input of UINT8 at opset {opset}; from {_LEAST_OPSET} on it is taken. "
            f"Export it again at opset 18"
        )
