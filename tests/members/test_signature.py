"""A graph takes the images of its card and gives its heads, or is refused by what differs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from detectors import detector_card, detector_model, save_detector
from onnx import TensorProto, helper
from toys import save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.members.member import open_member, write_sidecar
from ensemble.members.signature import MAX_BATCH, check_signature, input_of
from ensemble.records import Size


@pytest.mark.parametrize("batch", [10**6, 10**12])
def test_a_batch_axis_that_no_batch_has_is_refused(tmp_path: Path, batch: int) -> None:
    card = toy_card()
    with pytest.raises(MemberError, match="batch axis is"):
        open_member(save_member(tmp_path, card, toy_model(card, batch=batch)))


def test_an_input_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    model.graph.input[0].type.tensor_type.elem_type = 99
    with pytest.raises(MemberError, match="its input is unknown"):
        open_member(save_member(tmp_path, card, model))


@pytest.mark.parametrize("batch", ["N", 1, 7])
def test_a_batch_that_an_export_froze_is_known(tmp_path: Path, batch: int | str) -> None:
    card = toy_card()
    member = open_member(save_member(tmp_path, card, toy_model(card, batch=batch)))
    assert member.batch == (None if batch == "N" else batch)


def test_an_input_that_is_held_is_no_input() -> None:
    model = toy_model(toy_card())
    matrix = model.graph.initializer[0]
    model.graph.input.insert(0, helper.make_tensor_value_info("matrix", 1, matrix.dims))
    assert input_of(model).name == "image"


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"size": Size(8, 9)}, "its input is .x3x8x8; its card says Nx3x8x9 \\(NCHW\\)"),
        ({"channels": 1}, "its card says Nx1x8x8"),
        ({"classes": ("a", "b")}, "output 'logits' has 3 columns; head 'label' .* has 2 classes"),
    ],
)
def test_a_card_that_does_not_fit_the_graph_is_refused(
    tmp_path: Path, card: dict[str, Any], message: str
) -> None:
    with pytest.raises(MemberError, match=message):
        open_member(save_member(tmp_path, toy_card(**card), toy_model(toy_card())))


def test_a_card_of_any_size_fits_a_graph_of_any_size(tmp_path: Path) -> None:
    card = toy_card(dynamic_size=True)
    model = toy_model(card)
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "any"
    assert open_member(save_member(tmp_path, card, model)).card == card


def test_an_output_that_the_graph_lacks_is_named_with_those_it_has(tmp_path: Path) -> None:
    card = toy_card()
    card = replace(card, heads=(replace(card.heads[0], output="probs"),))
    with pytest.raises(MemberError, match="no output 'probs'; the file has: logits"):
        open_member(save_member(tmp_path, card, toy_model(card)))


def test_two_inputs_are_refused_by_name(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    model.graph.input.append(helper.make_tensor_value_info("age", 1, ["N", 1]))
    with pytest.raises(
        MemberError, match=r"expected one input, an image; found \['image', 'age'\]"
    ):
        open_member(save_member(tmp_path, card, model))


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.INT8, "INT8"), (11, "DOUBLE")])
def test_an_input_of_another_kind_is_named(tmp_path: Path, kind: int, name: str) -> None:
    card = toy_card()
    model = toy_model(card)
    model.graph.input[0].type.tensor_type.elem_type = kind
    told = f"its input is {name}; expected FLOAT or FLOAT16, NCHW, or UINT8. Convert it again"
    with pytest.raises(MemberError, match=told):
        open_member(save_member(tmp_path, card, model))


def test_an_input_without_a_shape_is_told_as_such() -> None:
    model = toy_model(toy_card())
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    with pytest.raises(MemberError, match="its input is of no shape; its card says Nx3x8x8"):
        check_signature(model, toy_card(), Path("m.onnx"))


@pytest.mark.parametrize("length", [-1, 0])
def test_an_output_of_any_length_has_the_columns_of_its_card(length: int) -> None:
    """As Paddle writes it; what the columns are in truth, the probe before a run tells."""
    model = toy_model(toy_card())
    for dim in model.graph.output[0].type.tensor_type.shape.dim:
        dim.dim_value = length
    assert check_signature(model, toy_card(), Path("m.onnx")) is None


@pytest.mark.parametrize("batch", [-1, 0])
def test_an_axis_of_no_length_is_one_of_any_length(tmp_path: Path, batch: int) -> None:
    card = toy_card()
    model = toy_model(card, batch=batch)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = batch
    assert open_member(save_member(tmp_path, card, model)).batch is None


def mapped(model: onnx.ModelProto) -> None:
    maps = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(1, []))
    sequence = helper.make_sequence_type_proto(maps)
    model.graph.output[0].CopyFrom(helper.make_value_info("logits", sequence))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (TensorProto.INT64, "'logits' is INT64: labels, perhaps.*--output-name"),
        (TensorProto.STRING, "'logits' is STRING"),
        (None, r"a sequence of maps \(ZipMap\).*options=\{'zipmap': False\}"),
    ],
)
def test_an_output_that_holds_no_scores_is_refused_by_the_card(
    tmp_path: Path, kind: int | None, message: str
) -> None:
    model = toy_model(toy_card())
    if kind is None:
        mapped(model)
    else:
        model.graph.output[0].type.tensor_type.elem_type = kind
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(MemberError, match=message):
        write_sidecar(tmp_path / "m.onnx", toy_card())


def test_channels_that_come_last_are_named_with_the_flag(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, length in zip(dims[1:], (8, 8, 3), strict=True):
        dim.dim_value = length
    with pytest.raises(MemberError, match="channels come last: .*--layout nhwc"):
        open_member(save_member(tmp_path, card, model))


@pytest.mark.parametrize("batch", ["N", 1, MAX_BATCH])
def test_a_graph_that_suits_its_card_tells_its_batch_axis(batch: int | str) -> None:
    card = toy_card()
    found = check_signature(toy_model(card, batch=batch), card, Path("m.onnx"))
    assert found == (None if batch == "N" else batch)


def test_an_image_without_a_channel_axis_is_refused() -> None:
    model = toy_model(toy_card())
    del model.graph.input[0].type.tensor_type.shape.dim[1]
    with pytest.raises(MemberError, match=r"^m.onnx: its input is .x8x8; its card says Nx3x8x8"):
        check_signature(model, toy_card(), Path("m.onnx"))


def test_of_a_card_of_any_size_the_sides_are_letters() -> None:
    card = toy_card(dynamic_size=True, channels=1)
    with pytest.raises(MemberError, match=r"its card says Nx1xHxW \(NCHW\)$"):
        check_signature(toy_model(toy_card()), card, Path("m.onnx"))


def test_a_detector_has_boxes_and_scores(tmp_path: Path) -> None:
    assert open_member(save_detector(tmp_path)).card == detector_card()


@pytest.mark.parametrize(
    ("output", "shape", "message"),
    [
        ("boxes", ["N", 4, 4], "output 'boxes' has the axes .*card says Nx3x4"),
        ("boxes", ["N", 3, 5], "output 'boxes' has the axes"),
        ("boxes", ["N", 12], "output 'boxes' has the axes"),
        ("scores", ["N", 2], "output 'scores' has the axes .*card says Nx3"),
        ("scores", ["N", 3, 1], "output 'scores' has the axes"),
    ],
)
def test_boxes_of_another_shape_are_refused(
    tmp_path: Path, output: str, shape: list[Any], message: str
) -> None:
    card = detector_card()
    model = detector_model(card)
    kept = [o for o in model.graph.output if o.name != output]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
    with pytest.raises(MemberError, match=message):
        open_member(save_member(tmp_path, card, model))


def test_boxes_without_scores_are_refused(tmp_path: Path) -> None:
    card = detector_card()
    model = detector_model(card)
    del model.graph.output[1]
    with pytest.raises(MemberError, match="no output 'scores', the scores of its boxes"):
        open_member(save_member(tmp_path, card, model))
