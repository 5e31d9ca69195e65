"""Inputs with channels last, or of bytes, are scored as their card declares."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from begun import begin
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from toys import save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.inference.probe import probe_images
from ensemble.members.card import Card
from ensemble.members.layout import adapted, dims_of, is_adapted, layout_of
from ensemble.members.member import open_member
from ensemble.records import Layout

HERE = Path("m.onnx")
IMAGES = probe_images((5, 8, 8, 3))


def toy(kind: int, layout: Layout, opset: int = 18) -> tuple[Card, ModelProto]:
    """A toy of an input of that kind and layout, on pixels from 0 to 255."""
    card = toy_card()
    pre = replace(card.preprocess, mean=(0.0,) * 3, std=(1 / 255,) * 3)
    card = replace(card, preprocess=pre, layout=layout)
    model = toy_model(card, opset=opset)
    matrix = numpy_helper.to_array(model.graph.initializer[0]) / 64
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    shape: list[int | str] = ["N", 3, 8, 8] if layout == "nchw" else ["N", 8, 8, 3]
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", kind, shape))
    if kind == TensorProto.UINT8:
        model.graph.node[0].input[0] = "floats"
        model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["floats"], to=1))
    return card, model


def expected(model: ModelProto, layout: Layout) -> NDArray[np.float64]:
    """The map of the pixels as the layout reads them, and its softmax, in float64."""
    pixels = IMAGES if layout == "nhwc" else IMAGES.transpose(0, 3, 1, 2)
    weights = next(t for t in model.graph.initializer if t.name == "matrix")
    logits = pixels.reshape(5, -1) @ numpy_helper.to_array(weights).astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8])
@pytest.mark.parametrize("opset", [11, 18])
def test_a_member_is_scored_in_its_own_form(
    tmp_path: Path, kind: int, layout: Layout, opset: int
) -> None:
    card, model = toy(kind, layout, opset)
    found = begin(save_member(tmp_path, card, model)).score(IMAGES)["label"]
    np.testing.assert_allclose(found, expected(model, layout), atol=1e-5)


def test_bytes_that_are_normalised_are_refused_with_the_flag() -> None:
    card, model = toy(TensorProto.UINT8, "nchw")
    with pytest.raises(MemberError, match="m.onnx: its input is UINT8.*--input-range 255"):
        adapted(model, replace(card, preprocess=toy_card().preprocess), HERE)


def test_bytes_of_an_old_opset_are_refused() -> None:
    card, model = toy(TensorProto.UINT8, "nchw", opset=10)
    with pytest.raises(MemberError, match="UINT8 at opset 10; from 11 on"):
        adapted(model, card, HERE)


def test_a_member_of_the_usual_form_is_left_as_it_is() -> None:
    card = toy_card()
    model = toy_model(card)
    assert adapted(model, card, HERE) is model
    assert not is_adapted(model, card)


def test_the_member_in_the_file_is_not_changed(tmp_path: Path) -> None:
    card, model = toy(TensorProto.FLOAT, "nhwc")
    before = model.SerializeToString()
    assert is_adapted(model, card)
    adapted(model, card, HERE)
    assert model.SerializeToString() == before
    assert open_member(save_member(tmp_path, card, model)).card.layout == "nhwc"


@pytest.mark.parametrize(
    ("shape", "channels", "layout"),
    [
        (["N", 3, 8, 8], 3, "nchw"),
        (["N", 8, 8, 3], 3, "nhwc"),
        (["N", "h", "w", 3], 3, "nhwc"),
        (["N", "c", "h", "w"], 3, "nchw"),
        ([-1, 224, 224, 4], 4, "nhwc"),
        (["N", 3, 8, 3], 3, "nchw"),
        (["N", 8], 3, "nchw"),
    ],
)
def test_fixed_axes_tell_where_the_channels_are(
    shape: list[int | str], channels: int, layout: Layout
) -> None:
    model = toy_model(toy_card())
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    model.graph.input[0].CopyFrom(value)
    assert layout_of(model, channels) == layout


def test_axes_of_any_length_have_no_number() -> None:
    shape = [-1, 0, "h", 8]
    assert dims_of(helper.make_tensor_value_info("x", 1, shape)) == [None, None, None, 8]
