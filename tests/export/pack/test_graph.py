"""The graph of an ensemble: what goes in and comes out, and who is in it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from packs import noise, packed, run_packed, toys_of
from toys import save_member, toy_card, toy_model

from ensemble.records import Size
from ensemble.voting.weights import Weights


def test_pixels_go_in_and_probabilities_and_a_label_come_out(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path), tta="hflip")
    model = onnx.load(found.path)
    onnx.checker.check_model(model, full_check=True)
    ports = {
        value.name: (value.type.tensor_type.elem_type, [
            axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim
        ])
        for value in (*model.graph.input, *model.graph.output)
    }  # fmt: skip
    assert ports == {
        "images": (onnx.TensorProto.UINT8, ["N", 8, 8, 3]),
        "probabilities": (onnx.TensorProto.FLOAT, ["N", 3]),
        "label": (onnx.TensorProto.INT64, ["N"]),
    }


def test_the_order_of_members_changes_no_byte(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    one = packed(tmp_path, members, "one/model.onnx", tta="flip")
    two = packed(tmp_path, members[::-1], "two/model.onnx", tta="flip")
    assert one.path.read_bytes() == two.path.read_bytes()


def test_a_prediction_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    path = packed(tmp_path, toys_of(tmp_path), tta="d4").path
    pixels = noise(7, 8, 8, 3)
    whole = run_packed(path, pixels)
    alone = [run_packed(path, pixels[row : row + 1]) for row in range(7)]
    np.testing.assert_allclose(
        whole["probabilities"], np.concatenate([each["probabilities"] for each in alone]), atol=1e-6
    )
    assert whole["label"].tolist() == [int(each["label"][0]) for each in alone]


def test_no_images_give_no_rows(tmp_path: Path) -> None:
    found = run_packed(packed(tmp_path, toys_of(tmp_path)).path, noise(0, 8, 8, 3))
    assert found["probabilities"].shape == (0, 3)


def test_members_that_weigh_nothing_are_not_in_the_file(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    other = toy_card("cow-f0", size=Size(9, 9))
    members.append(save_member(tmp_path / "folds", other, toy_model(other)))
    found = packed(tmp_path, members, weights=Weights({"ant": 1.0, "bee": 0.0, "cow": 0.0}))
    model = onnx.load(found.path)
    assert found.left_out == ("bee-f0", "bee-f1", "cow-f0")
    assert [value.name for value in model.graph.input] == ["images_8x8x3"]
    assert not [t for t in model.graph.initializer if t.name.startswith(("bee", "cow"))]


def test_what_several_labels_are_given_comes_out(tmp_path: Path) -> None:
    cards = [toy_card(f"ant-f{n}", task="multilabel", activation="sigmoid") for n in (0, 1)]
    members = [save_member(tmp_path, c, toy_model(c, seed=n)) for n, c in enumerate(cards)]
    found = run_packed(packed(tmp_path, members).path, noise(5, 8, 8, 3))
    np.testing.assert_array_equal(found["labels"], found["probabilities"] >= 0.5)


def test_values_come_out_alone(tmp_path: Path) -> None:
    card = toy_card("ant-f0", task="regression", activation="none")
    member = save_member(tmp_path, card, toy_model(card))
    found = run_packed(packed(tmp_path, [member]).path, noise(5, 8, 8, 3))
    assert list(found) == ["values"]


def broken(folder: Path) -> Path:
    """A member that gives NaN for black images: it divides by their sum."""
    card = toy_card("nan-f0")
    model = toy_model(card)
    model.graph.node[1].output[0] = "given"
    model.graph.initializer.append(
        helper.make_tensor("black", onnx.TensorProto.FLOAT, [1], [-2.0 * 8 * 8 * 3])
    )
    model.graph.initializer.append(helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [1]))
    model.graph.node.extend(
        [
            helper.make_node("ReduceSum", ["flat", "axes"], ["sum"], keepdims=1),
            helper.make_node("Sub", ["sum", "black"], ["away"]),
            helper.make_node("Div", ["away", "away"], ["one"]),
            helper.make_node("Mul", ["given", "one"], ["logits"]),
        ]
    )
    return save_member(folder, card, model)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_an_image_that_a_member_gives_nan_for_has_no_label(tmp_path: Path, voting: str) -> None:
    members = [*toys_of(tmp_path), broken(tmp_path / "folds")]
    path = packed(tmp_path, members, voting=voting).path
    pixels = noise(3, 8, 8, 3)
    pixels[1] = 0
    found = run_packed(path, pixels)
    assert np.isnan(found["probabilities"][1].astype(float)).all()
    assert found["label"][1] == -1
    assert (np.delete(found["label"], 1) >= 0).all()
