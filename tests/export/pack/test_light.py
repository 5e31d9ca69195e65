"""A member's graph without its weights, at another opset, with its functions written out."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from toys import external, save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.export.pack import light as module
from ensemble.export.pack.light import SMALL, Weight, lightened, opset_of
from ensemble.members.member import Member, open_member
from ensemble.records import Size

CARD = toy_card("toy-f0", size=Size(12, 12))
PIXELS = np.random.default_rng(0).normal(size=(2, 3, 12, 12)).astype(np.float32)


def filled(light: ModelProto, weights: dict[str, Weight]) -> ModelProto:
    for tensor in light.graph.initializer:
        if tensor.name in weights:
            tensor.raw_data = weights[tensor.name].raw()
    return light


def given(model: ModelProto) -> NDArray[np.float32]:
    found: NDArray[np.float32] = ReferenceEvaluator(model).run(None, {"image": PIXELS})[0]
    return found


def reducing(folder: Path, opset: int) -> Member:
    """A member with a ReduceMean, whose axes became an input at opset 18."""
    model = toy_model(CARD, opset=opset)
    mean = helper.make_node("ReduceMean", ["logits"], ["mean"], axes=[1], keepdims=1)
    model.graph.node[1].output[0] = "given"
    mean.input[0] = "given"
    model.graph.node.extend([mean, helper.make_node("Sub", ["given", "mean"], ["logits"])])
    return open_member(save_member(folder, CARD, model))


def test_large_weights_are_apart_and_read_back_the_same(tmp_path: Path) -> None:
    member = open_member(save_member(tmp_path, CARD, toy_model(CARD)))
    light, weights = lightened(member, 18)
    (tensor,) = light.graph.initializer
    assert not tensor.raw_data
    assert [value.name for value in light.graph.input] == ["image"]
    assert weights["matrix"].size == len(weights["matrix"].raw()) > SMALL
    np.testing.assert_array_equal(given(filled(light, weights)), given(member.model))


def test_a_member_is_brought_to_a_later_opset_without_its_weights(tmp_path: Path) -> None:
    member = reducing(tmp_path, 13)
    light, weights = lightened(member, 18)
    assert opset_of(light) == 18
    assert opset_of(member.model) == 13
    np.testing.assert_allclose(
        given(filled(light, weights)), given(member.model), rtol=1e-5, atol=1e-6
    )


def test_weights_beside_the_file_are_read_from_there(tmp_path: Path) -> None:
    member = open_member(external(tmp_path))
    weight = Weight(member.model.graph.initializer[0], member.folder)
    expected = toy_model(toy_card()).graph.initializer[0].raw_data
    assert weight.raw() == expected
    assert weight.size == len(expected)


def test_small_weights_beside_the_file_are_taken_into_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 1 << 20)
    light, weights = lightened(open_member(external(tmp_path)), 18)
    assert weights == {}
    assert (
        light.graph.initializer[0].raw_data == toy_model(toy_card()).graph.initializer[0].raw_data
    )


def test_weights_that_are_no_raw_bytes_become_some() -> None:
    values = np.arange(600, dtype=np.float32)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[600], float_data=values)
    weight = Weight(tensor, Path())
    assert weight.raw() == values.tobytes()
    assert weight.size == values.nbytes


def test_local_functions_are_written_out(tmp_path: Path) -> None:
    model = toy_model(CARD)
    twice = helper.make_function(
        "ai.onnx", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    twice.domain = "ai.onnx.ml"
    model.functions.append(twice)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    model.graph.node[1].output[0] = "given"
    model.graph.node.append(helper.make_node("Twice", ["given"], ["logits"], domain="ai.onnx.ml"))
    member = open_member(save_member(tmp_path, CARD, model))
    light, weights = lightened(member, 18)
    assert not light.functions
    np.testing.assert_allclose(given(filled(light, weights)), 2 * given(toy_model(CARD)))


def test_a_member_that_no_converter_knows_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_model: ModelProto, _opset: int) -> ModelProto:
        raise onnx.version_converter.ConvertError("no adapter for Sub")

    member = open_member(save_member(tmp_path, CARD, toy_model(CARD, opset=13)))
    monkeypatch.setattr(onnx.version_converter, "convert_version", refuse)
    with pytest.raises(MemberError, match=r"toy-f0.onnx: one file has one opset, 18 .* from 13"):
        lightened(member, 18)


def test_a_members_model_stays_as_it_is(tmp_path: Path) -> None:
    member = reducing(tmp_path, 13)
    before = member.model.SerializeToString()
    lightened(member, 18)
    assert member.model.SerializeToString() == before
    assert numpy_helper.to_array(member.model.graph.initializer[0]).shape == (432, 3)


def test_small_tensors_stay_for_converters_read_them(tmp_path: Path) -> None:
    card = toy_card("toy-f0", size=Size(2, 2))
    member = open_member(save_member(tmp_path, card, toy_model(card)))
    light, weights = lightened(member, 18)
    assert weights == {}
    assert light.graph.initializer[0].raw_data
