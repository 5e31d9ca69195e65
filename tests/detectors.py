"""Detectors made by hand, and pictures with faces that they find: blocks of one colour.

A face is a block of pure red or green; the brighter, the surer the detector. Anything blue makes it
give NaN.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from toys import save_member

from ensemble.members.card import BoxOutput, Card, Head
from ensemble.records import BoxScale, Fit, Preprocess, Size

SIDE = 32


def detector_card(
    name: str = "finder",
    *,
    size: Size = Size(SIDE, SIDE),
    fit: Fit = "squash",
    scale: BoxScale = "pixels",
    count: int = 3,
) -> Card:
    """The card of a detector; it sees pixels from 0 to 1."""
    pre = Preprocess(size, fit, 1.0, "nearest", (0.0,) * 3, (1.0,) * 3)
    head = Head("face", "boxes", "boxes", "none", ("face",), BoxOutput("scores", count, scale))
    return Card(name, name, None, "hand-made", pre, (head,))


def detector_model(card: Card) -> onnx.ModelProto:
    """A box about all red pixels, one about all green ones, and rows that hold none."""
    size = card.preprocess.size
    boxes = card.heads[0].boxes
    assert boxes is not None
    nodes: list[onnx.NodeProto] = []
    constants = {
        "zero": np.array([0], np.int64), "one": np.array([1], np.int64),
        "two": np.array([2], np.int64), "three": np.array([3], np.int64),
        "dark": np.array(0.1, np.float32), "nothing": np.array(0, np.float32),
        "unit": np.array(1, np.float32), "channels": np.array([1], np.int64),
        "sides": np.array([size.width, size.height] * 2, np.float32),
        "empty_boxes": np.zeros((1, boxes.count - 2, 4), np.float32),
        "empty_scores": np.zeros((1, boxes.count - 2), np.float32),
    }  # fmt: skip

    def op(kind: str, *inputs: str, **attributes: object) -> str:
        output = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    red, green, blue = (
        op("Slice", "image", place, after, "channels")
        for place, after in (("zero", "one"), ("one", "two"), ("two", "three"))
    )
    # blue under the root, negative: NaN, and else 0
    odd = op("Neg", op("ReduceMax", blue, axes=[1, 2, 3], keepdims=0))
    odd = op("Unsqueeze", op("Sqrt", odd), "one")
    found, scores = [], []
    for colour, other in ((red, green), (green, red)):
        seen = op("Sub", colour, other)
        bright = op("ReduceMax", seen, axes=[1, 2, 3], keepdims=0)
        score = op("Unsqueeze", op("Clip", bright, "nothing", "unit"), "one")
        mask = op("Cast", op("Greater", seen, "dark"), to=TensorProto.FLOAT)
        edges = []
        for axis in (2, 3):
            profile = op("ReduceMax", mask, axes=[1, axis], keepdims=0)
            first = op("Cast", op("ArgMax", profile, axis=1, keepdims=1), to=TensorProto.FLOAT)
            back = op("ArgMax", profile, axis=1, keepdims=1, select_last_index=1)
            last = op("Add", op("Cast", back, to=TensorProto.FLOAT), "unit")
            edges.append((first, last))
        (left, right), (top, bottom) = edges
        box = op("Concat", left, top, right, bottom, axis=1)
        if boxes.scale == "unit":
            box = op("Div", box, "sides")
        found.append(op("Unsqueeze", box, "one"))
        scores.append(op("Add", score, odd))
    count = op("Slice", op("Shape", "image"), "zero", "one")
    found.append(op("Expand", "empty_boxes", op("Concat", count, "one", "one", axis=0)))
    scores.append(op("Expand", "empty_scores", op("Concat", count, "one", axis=0)))
    nodes.append(helper.make_node("Concat", found, ["boxes"], axis=1))
    nodes.append(helper.make_node("Concat", scores, ["scores"], axis=1))
    shape = ["N", 3, size.height, size.width]
    graph = helper.make_graph(
        nodes,
        "finder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", boxes.count, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", boxes.count]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def save_detector(folder: Path, card: Card | None = None) -> Path:
    """Write a detector with its card inside."""
    card = card or detector_card()
    return save_member(folder, card, detector_model(card))


Face = tuple[int, int, int, int, int]
"""Left, top, right, bottom, and how bright, 0 to 255."""


def picture(
    size: Size, *, red: Face | None = None, green: Face | None = None, blue: bool = False
) -> Image.Image:
    """A black picture with a red and a green face."""
    pixels = np.zeros((size.height, size.width, 3), np.uint8)
    for channel, face in ((0, red), (1, green)):
        if face is not None:
            left, top, right, bottom, level = face
            pixels[top:bottom, left:right, channel] = level
    if blue:
        pixels[..., 2] = 90
    return Image.fromarray(pixels)
