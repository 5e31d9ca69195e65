"""A view is taken of its part of the input, and its operations follow."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ensemble.boxes import Jitter
from ensemble.records import Op, Size, View
from ensemble.runtime.merges import Builder
from ensemble.runtime.session import run_once
from ensemble.runtime.view_nodes import viewed

SIZE = Size(3, 4)
JITTERS: tuple[Jitter, ...] = ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0))


def shown(images: NDArray[np.float32], view: View, jitters: tuple[Jitter, ...]) -> object:
    build = Builder(prefix="test")
    build.name(viewed(build, "in", view, SIZE, jitters), "out")
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("in", "out")]
    graph = helper.make_graph(build.nodes, "test", told[:1], told[1:], build.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return run_once(model.SerializeToString(), {"in": images})["out"]


def test_without_jitters_a_view_is_of_the_whole_input() -> None:
    images = np.random.default_rng(0).random((2, 3, 3, 4), dtype=np.float32)
    assert np.array_equal(shown(images, View("identity"), ()), images)
    assert np.array_equal(shown(images, View("hflip", (Op("hflip"),)), ()), images[..., ::-1])


def test_each_jitter_has_its_part_and_what_does_not_jitter_the_still_one() -> None:
    images = np.random.default_rng(0).random((2, 3, 6, 4), dtype=np.float32)
    moved = View("right0.1", (Op("jitter", (0.1, 0.0, 0.0)),))
    assert np.array_equal(shown(images, View("identity"), JITTERS), images[:, :, :3])
    assert np.array_equal(shown(images, moved, JITTERS), images[:, :, 3:])


def test_what_follows_a_jitter_is_done_to_its_part() -> None:
    images = np.random.default_rng(0).random((2, 3, 6, 4), dtype=np.float32)
    view = View("right0.1+vflip", (Op("jitter", (0.1, 0.0, 0.0)), Op("vflip")))
    assert np.array_equal(shown(images, view, JITTERS), images[:, :, 3:][:, :, ::-1])
