"""Nodes run by ONNX Runtime, ensembles packed in this process, and other members to pack."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper
from toys import save_member, toy_card, toy_model

from ensemble.pipeline.pack import PackedFile, pack
from ensemble.progress import Quiet
from ensemble.recipe.settings import Settings
from ensemble.runtime.merges import Builder

Array = NDArray[np.generic]


def computed(
    nodes: Callable[[Builder], str], inputs: Mapping[str, Array], opset: int = 13
) -> Array:
    """What the tensor is that nodes name, of inputs that the caller knows by their names."""
    build = Builder(prefix="test")
    build.name(nodes(build), "output")
    graph = helper.make_graph(
        build.nodes,
        "test",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), list(array.shape)
            )
            for name, array in inputs.items()
        ],
        [onnx.ValueInfoProto(name="output")],
        build.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Array = session.run(["output"], dict(inputs))[0]
    return found


def packed(
    folder: Path, members: Sequence[Path], out: str = "model.onnx", **settings: object
) -> PackedFile:
    """Pack members into a file of a folder."""
    told = Settings(
        tuple(map(str, members)),
        (),
        store=folder / "store",
        device="cpu",
        **settings,  # type: ignore[arg-type]
    )
    return pack(told, folder / out, Quiet())


def run_packed(path: Path, pixels: Mapping[str, Array] | Array) -> dict[str, Array]:
    """What a packed file gives, by ONNX Runtime alone."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = pixels if isinstance(pixels, Mapping) else {session.get_inputs()[0].name: pixels}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def noise(count: int, *shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def toys_of(folder: Path, families: Sequence[str] = ("ant", "bee"), folds: int = 2) -> list[Path]:
    """Toy members of families, each another map of pixels to classes, of one initializer name."""
    return [
        save_member(
            folder / "folds",
            toy_card(f"{family}-f{fold}"),
            toy_model(toy_card(f"{family}-f{fold}"), seed=10 * number + fold),
        )
        for number, family in enumerate(families)
        for fold in range(folds)
    ]
