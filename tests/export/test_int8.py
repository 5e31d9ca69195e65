"""Int8 members: what is quantised and what stays, and which members are refused."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, parser
from toys import MakeMember, save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.export import int8
from ensemble.inference.probe import probe_images
from ensemble.members.member import Member, open_member
from ensemble.runtime.session import run_once

KINDS = st.lists(st.sampled_from(int8.QUANTIZABLE), min_size=1, max_size=6)
IMAGES = probe_images((10, 8, 8, 3))


def layered(batch: int | str = "N") -> onnx.ModelProto:
    """Two convolutions, a product, and a mean over the image between them."""
    model = parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 18]>
        layered (float[{batch}, 3, 8, 8] image) => (float[{batch}, 3] logits) {{
            a = Conv(image, k1)
            b = Relu(a)
            c = Conv(b, k2)
            d = GlobalAveragePool(c)
            e = Flatten(d)
            logits = MatMul(e, m)
        }}""")
    rng = np.random.default_rng(0)
    shapes = {"k1": (4, 3, 3, 3), "k2": (4, 4, 3, 3), "m": (4, 3)}
    for name, shape in shapes.items():
        values = rng.normal(0, 0.5, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return model


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return open_member(save_member(tmp_path, toy_card(), layered()))


def nodes_of(kinds: list[str]) -> list[onnx.NodeProto]:
    return [helper.make_node(kind, [], [], name=f"node{n:02}") for n, kind in enumerate(kinds)]


@given(KINDS)
def test_some_layer_is_always_quantised(kinds: list[str]) -> None:
    assert len(int8.float_layers(nodes_of(kinds))) < len(kinds)


@given(KINDS)
def test_what_stays_is_the_last_layer_and_a_first_convolution(kinds: list[str]) -> None:
    layers = nodes_of(kinds)
    expected = {layers[-1].name} | ({layers[0].name} if kinds[0] == "Conv" else set())
    assert set(int8.float_layers(layers)) == (expected if len(expected) < len(layers) else set())


def test_an_int8_graph_has_the_ports_of_the_member(member: Member) -> None:
    found = int8.to_int8(member, IMAGES).graph
    for ports in ("input", "output"):
        ours, theirs = getattr(found, ports), getattr(member.model.graph, ports)
        assert [(p.name, p.type) for p in ours] == [(p.name, p.type) for p in theirs]


def test_an_int8_graph_carries_no_card_and_no_domain_that_it_does_not_use(member: Member) -> None:
    found = int8.to_int8(member, IMAGES)
    assert not found.metadata_props
    assert {entry.domain for entry in found.opset_import} == {n.domain for n in found.graph.node}


def test_weights_have_a_scale_a_channel_and_activations_one_in_all(member: Member) -> None:
    found = int8.to_int8(member, IMAGES).graph
    kinds = {tensor.name: tensor.data_type for tensor in found.initializer}
    sizes = {tensor.name: tuple(tensor.dims) for tensor in found.initializer}
    ends = [n for n in found.node if n.op_type == "DequantizeLinear"]
    weights = [n for n in ends if kinds.get(n.input[0]) == TensorProto.INT8]
    assert [sizes[node.input[1]] for node in weights] == [(4,)]  # of the second convolution only
    others = [node for node in ends if node.input[0] not in kinds]
    assert others
    assert {sizes[node.input[1]] for node in others} == {()}


def test_an_int8_graph_gives_nearly_what_the_member_gives(member: Member) -> None:
    pixels = int8.normalised(member.card.preprocess, IMAGES)
    full, less = (
        run_once(model.SerializeToString(), {"image": pixels})["logits"]
        for model in (member.model, int8.to_int8(member, IMAGES))
    )
    assert 0 < abs(full - less).max() < 0.05 * abs(full).max()


def test_the_member_stays_as_it_is(member: Member) -> None:
    before = member.model.SerializeToString()
    int8.to_int8(member, IMAGES)
    assert member.model.SerializeToString() == before


def test_the_order_of_the_images_changes_no_bit(member: Member) -> None:
    one, other = (int8.to_int8(member, part) for part in (IMAGES, IMAGES[::-1].copy()))
    assert one.SerializeToString() == other.SerializeToString()


def test_one_image_is_enough_for_a_dynamic_batch(member: Member) -> None:
    assert int8.to_int8(member, IMAGES[:1]).graph.node


def test_fewer_images_than_a_fixed_batch_are_refused(tmp_path: Path) -> None:
    fixed = open_member(save_member(tmp_path, toy_card(), layered(4)))
    with pytest.raises(MemberError, match="fixed at 4, and only 3 images calibrate. Give more"):
        int8.to_int8(fixed, IMAGES[:3])


def test_a_fixed_batch_leaves_out_what_does_not_fill_it(tmp_path: Path) -> None:
    fixed = open_member(save_member(tmp_path, toy_card(), layered(4)))
    whole, more = (int8.to_int8(fixed, IMAGES[:rows]) for rows in (8, 10))
    assert whole.SerializeToString() == more.SerializeToString()


def test_pixels_are_normalised_by_mean_and_deviation(member: Member) -> None:
    expected = (IMAGES.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25
    found = int8.normalised(member.card.preprocess, IMAGES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(st.integers(1, 9), st.integers(1, 4))
def test_the_calibrator_gets_each_row_once_in_order(rows: int, batch: int) -> None:
    pixels = np.arange(rows, dtype=np.float32)[:, None]
    feeds = int8._Feeds("image", pixels, batch)

    def batches() -> Iterator[NDArray[np.float32]]:
        while (found := feeds.get_next()) is not None:
            yield found["image"]

    parts = list(batches())
    np.testing.assert_array_equal(np.concatenate(parts), pixels)
    assert all(len(a) == batch >= len(b) for a, b in pairwise(parts))


def test_a_float32_member_with_a_product_may_be_quantised(make_member: MakeMember) -> None:
    int8.check_quantizable(open_member(make_member()))


@pytest.mark.parametrize("kind", ["QuantizeLinear", "DynamicQuantizeLinear"])
def test_a_member_with_quantised_nodes_is_refused(kind: str, member: Member) -> None:
    member.model.graph.node.append(helper.make_node(kind, ["logits"], ["q"]))
    with pytest.raises(MemberError, match="quantised already; give the float32 member"):
        int8.check_quantizable(member)


def test_a_member_whose_card_says_so_is_quantised_already(tmp_path: Path) -> None:
    card = replace(toy_card(), source={"quantized": "int8"})
    made = open_member(save_member(tmp_path, card, layered()))
    with pytest.raises(MemberError, match="quantised already"):
        int8.check_quantizable(made)


def test_a_member_of_float16_is_refused_by_its_input(member: Member) -> None:
    member.model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    with pytest.raises(MemberError, match="its input is FLOAT16; give the member exported"):
        int8.check_quantizable(member)


def test_a_product_within_a_function_may_be_quantised(member: Member) -> None:
    layers = list(member.model.graph.node)
    del member.model.graph.node[:]
    with pytest.raises(MemberError, match="nothing to quantise: it has none of Conv, Gemm, MatMul"):
        int8.check_quantizable(member)
    imports = [helper.make_opsetid("", 18)]
    made = helper.make_function("own", "all", ["image"], ["logits"], layers, imports)
    member.model.functions.append(made)
    int8.check_quantizable(member)


def failing() -> None:
    with int8._quietly():
        assert logging.root.manager.disable == logging.WARNING
        raise KeyError("quantiser")


def test_the_level_of_logging_comes_back_though_the_quantiser_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.root.manager, "disable", logging.DEBUG)
    with pytest.raises(KeyError, match="quantiser"):
        failing()
    assert logging.root.manager.disable == logging.DEBUG


def test_a_toy_of_one_product_is_quantised_whole(tmp_path: Path) -> None:
    made = open_member(save_member(tmp_path, toy_card(), toy_model(toy_card())))
    kinds = [node.op_type for node in int8.to_int8(made, IMAGES).graph.node]
    assert "MatMul" in kinds
    assert kinds.count("QuantizeLinear") >= 1
