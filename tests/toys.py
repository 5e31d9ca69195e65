"""Tiny members and images, and the command line in this process."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from PIL import Image

from ensemble.cli import main
from ensemble.members.card import Card, Head
from ensemble.members.member import embed_card, write_sidecar
from ensemble.records import Activation, Preprocess, Size, Task

CLASSES = ("cat", "dog", "eel")


def toy_card(
    name: str = "toy-f0",
    *,
    size: Size = Size(8, 8),
    classes: Sequence[str] = CLASSES,
    task: Task = "classification",
    activation: Activation = "softmax",
    channels: int = 3,
    dynamic_size: bool = False,
) -> Card:
    """A card for a toy member; family and fold come from the name."""
    family, _, fold = name.rpartition("-f")
    pre = Preprocess(size, "crop", 1.0, "bilinear", (0.5,) * channels, (0.25,) * channels)
    head = Head("label", "logits", task, activation, tuple(classes))
    return Card(name, family, int(fold), "toy", pre, (head,), dynamic_size)


def toy_model(
    card: Card, *, seed: int = 0, opset: int = 18, batch: int | str = "N"
) -> onnx.ModelProto:
    """A linear map of every pixel, so that each view of an image scores differently."""
    pre = card.preprocess
    pixels = pre.size.height * pre.size.width * len(pre.mean)
    columns = len(card.heads[0].classes)
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 3 / np.sqrt(pixels), (pixels, columns)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    shape = [batch, len(pre.mean), pre.size.height, pre.size.width]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, columns])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def save_member(folder: Path, card: Card, model: onnx.ModelProto) -> Path:
    """Write a model with its card inside."""
    embed_card(model, card)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card.name}.onnx"
    onnx.save(model, path)
    return path


def save_images(folder: Path, count: int, *, seed: int = 0) -> Path:
    """Write PNG files img1.png, img2.png, … of odd sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(1, count + 1):
        height, width = rng.integers(9, 20, 2)
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"img{number}.png")
    return folder


def ensemble(*args: str | Path) -> int:
    """Run a command; return its exit code."""
    with pytest.raises(SystemExit) as done:
        main([str(a) for a in args])
    assert isinstance(done.value.code, int)
    return done.value.code


MakeMember = Callable[..., Path]


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def external(tmp_path: Path, name: str = "toy-f0", seed: int = 0) -> Path:
    """A foreign member with its weights in a second file, and a sidecar card."""
    card = toy_card(name)
    model = toy_model(card, seed=seed)
    folder = tmp_path / "folds"
    folder.mkdir(exist_ok=True)
    convert_model_to_external_data(model, location=f"{name}.data", size_threshold=0)
    onnx.save(model, folder / f"{name}.onnx")
    write_sidecar(folder / f"{name}.onnx", card)
    return folder / f"{name}.onnx"
