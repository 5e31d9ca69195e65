"""CenterFace as a detector that tells boxes: its graph decodes its maps and suppresses doubles.

The net gives four maps at a quarter of the input's sides: how sure it is of a face about each
place, the logarithm of the face's height and width, where its centre lies within the place, and
landmarks, which are left out.
"""

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, version_converter

SIDE: Final = 512
"""Height and width of the input, in pixels; any multiple of 32 would do."""

COUNT: Final = 100
"""The rows of boxes; those that are not used have the score 0."""

_STEP: Final = 4
_CANDIDATES: Final = 1000
_OPSET: Final = 17
_LEAST = np.array([0.02], np.float32)
_OVERLAP = np.array([0.3], np.float32)
_HEAT, _LOG_SIDES, _OFFSETS = "537", "538", "539"


class _Nodes:
    """Nodes and constants on their way into a graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def add(self, kind: str, *inputs: str, out: str = "", **attributes: object) -> str:
        return self.add_many(kind, *inputs, out=(out,), **attributes)[0]

    def add_many(
        self, kind: str, *inputs: str, out: tuple[str, ...], **attributes: object
    ) -> list[str]:
        outputs = [name or f"decoded_{len(self.nodes)}_{n}" for n, name in enumerate(out)]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs


def detector(original: onnx.ModelProto) -> onnx.ModelProto:
    """Return CenterFace for (N, 3, 512, 512) RGB of 0 to 255 with outputs `boxes` and `scores`.

    `boxes` are float32 (N, 100, 4), left, top, right, bottom in pixels of the input, the surest
    first; they may lie over its border. `scores` are float32 (N, 100), 0 to 1.
    """
    model = onnx.ModelProto()
    model.CopyFrom(original)
    _fix_shapes(model)
    model = version_converter.convert_version(model, _OPSET)
    model.ir_version = 8
    graph, more = model.graph, _Nodes()
    _suppress(more, *_candidates(more))
    graph.node.extend(more.nodes)
    graph.initializer.extend(more.constants)
    del graph.output[:], graph.value_info[:]
    for name, shape in (("boxes", ["N", COUNT, 4]), ("scores", ["N", COUNT])):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    return model


def _fix_shapes(model: onnx.ModelProto) -> None:
    """Replace the shapes that are baked in, and leave out weights that are inputs, or unused."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    images = next(value.name for value in graph.input if value.name not in weights)
    for node in graph.node:
        node.input[:] = ["images" if name == images else name for name in node.input]
    shape = ["N", 3, SIDE, SIDE]
    del graph.input[:], graph.value_info[:]
    graph.input.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, shape))
    for output in graph.output:
        channels = output.type.tensor_type.shape.dim[1].dim_value
        side = SIDE // _STEP
        shape = ["N", channels, side, side]
        output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape))


def _candidates(more: _Nodes) -> tuple[str, str]:
    """Decode the surest places: boxes (N, 1000, 4) and scores (N, 1000).

    A place's centre is that of its pixel, moved by the offset.
    """
    side = SIDE // _STEP
    heat = more.add("Reshape", _HEAT, more.ints(0, -1))
    scores, places = more.add_many("TopK", heat, more.ints(_CANDIDATES), out=("", ""), axis=1)
    index = more.add("Unsqueeze", places, more.ints(2))

    def at_places(name: str) -> str:
        """Gather a map of two values, down and across, as (N, 1000, 2)."""
        flat = more.add("Reshape", name, more.ints(0, 2, -1))
        rows = more.add("Transpose", flat, perm=[0, 2, 1])
        return more.add("GatherND", rows, index, batch_dims=1)

    width = more.ints(side)
    down, across = more.add("Div", index, width), more.add("Mod", index, width)
    whole = more.add("Cast", more.add("Concat", down, across, axis=2), to=TensorProto.FLOAT)
    half, step = (more.constant(np.array(value, np.float32)) for value in (0.5, _STEP))
    centres = more.add("Add", more.add("Add", whole, at_places(_OFFSETS)), half)
    centres = more.add("Mul", centres, step)
    halves = more.add("Mul", more.add("Exp", at_places(_LOG_SIDES)), step)
    halves = more.add("Mul", halves, half)
    corners = more.add("Sub", centres, halves), more.add("Add", centres, halves)
    tops_first = more.add("Concat", *corners, axis=2)
    return more.add("Gather", tops_first, more.ints(1, 0, 3, 2), axis=2), scores


def _suppress(more: _Nodes, boxes: str, scores: str) -> None:
    """Keep of boxes that overlap the surest, and of those the surest hundred; the rest are 0."""
    by_class = more.add("Unsqueeze", scores, more.ints(1))
    least, overlap = more.constant(_LEAST), more.constant(_OVERLAP)
    kept = more.add("NonMaxSuppression", boxes, by_class, more.ints(COUNT), overlap, least)
    places = more.add("Gather", kept, more.ints(0, 2), axis=1)
    values = more.add("GatherND", scores, places)
    zero = more.constant(np.array(0, np.float32))
    zeros = more.add("Mul", scores, zero)
    left = more.add("ScatterND", zeros, places, values)
    best, rows = more.add_many("TopK", left, more.ints(COUNT), out=("scores", ""), axis=1)
    chosen = more.add("GatherND", boxes, more.add("Unsqueeze", rows, more.ints(2)), batch_dims=1)
    used = more.add("Cast", more.add("Greater", best, zero), to=TensorProto.FLOAT)
    more.add("Mul", chosen, more.add("Unsqueeze", used, more.ints(2)), out="boxes")
