"""Members of several tasks over toy images: a joint one, single ones, one with three heads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from toys import save_member

from ensemble.members.card import Card, Head
from ensemble.records import Preprocess, Size

KINDS, TURNS, AGES = ("bag", "shoe", "top"), ("down", "up"), ("<30", "30-59", ">=60")
LABELS = tuple(str(number) for number in range(18))
SIDE = 8

Heads = Sequence[tuple[Head, float, float]]
"""Heads, each with the scale of its outputs and what is added to them."""


def label_map(folder: Path, rows: Sequence[Sequence[str]] | None = None) -> Path:
    """Write the map of kind and turn and age to 18 labels, or these rows of it."""
    every = [(k, t, a) for k in KINDS for t in TURNS for a in AGES]
    lines = rows or [(label, *row) for label, row in zip(LABELS, every, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "label_map.csv"
    path.write_text("\n".join(",".join(row) for row in [("label", "kind", "turn", "age"), *lines]))
    return path


def head(name: str, classes: Sequence[str]) -> Head:
    return Head(name, name, "classification", "softmax", tuple(classes))


def value(name: str) -> Head:
    return Head(name, name, "regression", "none", (name,))


def save(folder: Path, family: str, fold: int, heads: Heads, *, seed: int) -> Path:
    """Write a member: each head is a linear map of every pixel."""
    pre = Preprocess(Size(SIDE, SIDE), "squash", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
    card = Card(f"{family}-f{fold}", family, fold, "toy", pre, tuple(each for each, _, _ in heads))
    rng = np.random.default_rng((seed, fold))
    nodes = [helper.make_node("Flatten", ["image"], ["flat"], axis=1)]
    weights, outputs = [], []
    for each, scale, offset in heads:
        matrix = rng.normal(0, scale / SIDE, (3 * SIDE * SIDE, len(each.classes)))
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), f"{each.name}_matrix"))
        bias = np.full(len(each.classes), offset, np.float32)
        weights.append(numpy_helper.from_array(bias, f"{each.name}_bias"))
        nodes.append(
            helper.make_node(
                "Gemm", ["flat", f"{each.name}_matrix", f"{each.name}_bias"], [each.output]
            )
        )
        shape = ["N", len(each.classes)]
        outputs.append(helper.make_tensor_value_info(each.output, TensorProto.FLOAT, shape))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    graph = helper.make_graph(nodes, "toy", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    return save_member(folder, card, model)


def save_all(folder: Path, folds: int = 2) -> list[Path]:
    """Write the members of every kind: the label, two tasks, a finer one, three heads at once."""
    decades = tuple(str(age) for age in range(5, 90, 10))
    families: dict[str, Heads] = {
        "joint": [(head("label", LABELS), 1.0, 0.0)],
        "kinds": [(head("kind", KINDS[::-1]), 1.0, 0.0)],
        "turns": [(head("label", TURNS), 1.0, 0.0)],
        "decades": [(head("age", decades), 1.0, 0.0)],
        "three": [
            (value("age"), 8.0, 45.0),
            (head("kind", KINDS), 1.0, 0.0),
            (head("turn", TURNS), 1.0, 0.0),
        ],
    }
    return [
        save(folder, family, fold, heads, seed=number)
        for number, (family, heads) in enumerate(families.items())
        for fold in range(folds)
    ]


def outputs(path: Path, images: Sequence[Path]) -> dict[str, NDArray[np.float64]]:
    """Return what a member's heads give for images of its own size, by NumPy."""
    model = onnx.load(path)
    held = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    pixels = np.stack([np.asarray(Image.open(each).convert("RGB"), np.float64) for each in images])
    flat = ((pixels / 255 - 0.5) / 0.25).transpose(0, 3, 1, 2).reshape(len(images), -1)
    return {
        each.name: flat @ held[f"{each.name}_matrix"] + held[f"{each.name}_bias"]
        for each in model.graph.output
    }


def save_pictures(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write PNG files of the members' own size."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    paths = [folder / f"img{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return paths
