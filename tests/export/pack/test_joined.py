"""Members in one graph: under their own names, at one opset, without what nobody reads."""

from pathlib import Path

import onnx
import pytest
from onnx import GraphProto, TensorProto, helper
from toys import save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.export.pack.joined import PackedMember, joined, names_read, reaching, rename
from ensemble.members.card import Card
from ensemble.members.member import Member, open_member
from ensemble.records import Size
from ensemble.views.policy import IDENTITY, Shaped


def packed_member(member: Member) -> PackedMember:
    return PackedMember(member, (Shaped(IDENTITY, member.card.preprocess.size),), at_once=0)


def opened(
    folder: Path, name: str, opset: int = 18, ir: int = 8, card: Card | None = None
) -> PackedMember:
    card = card or toy_card(name)
    model = toy_model(card, opset=opset)
    model.ir_version = ir
    return packed_member(open_member(save_member(folder, card, model)))


def test_members_of_several_opsets_and_irs_are_joined_at_the_latest(tmp_path: Path) -> None:
    members = [
        opened(tmp_path, "a-f0", 13), opened(tmp_path, "b-f0", 17, 10), opened(tmp_path, "c-f0"),
    ]  # fmt: skip
    found = joined(members, "mean")
    assert found.opsets == {"": 18}
    assert found.ir_version == 10


def test_every_name_is_its_members_own(tmp_path: Path) -> None:
    found = joined([opened(tmp_path, "a-f0"), opened(tmp_path, "b-f0")], "mean")
    made = [name for node in found.nodes for name in node.output]
    made += [tensor.name for tensor in found.initializers]
    assert len(made) == len(set(made))
    assert {name.partition("/")[0] for name in made} == {"a-f0", "b-f0"}
    assert found.given["b-f0", "label"] in made


def test_members_of_one_geometry_share_their_pixels(tmp_path: Path) -> None:
    other = opened(tmp_path, "c-f0", card=toy_card("c-f0", size=Size(9, 9)))
    found = joined([opened(tmp_path, "a-f0"), opened(tmp_path, "b-f0"), other], "mean")
    assert sorted(found.inputs.values()) == ["images_8x8x3", "images_9x9x3"]


def test_names_in_graphs_inside_are_renamed_with_those_around() -> None:
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["sum"])], "inner", [],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)],
    )  # fmt: skip
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [2.0])
    graph = helper.make_graph([node], "outer", [], [], [weight])
    rename(graph, "a/")
    inside: GraphProto = graph.node[0].attribute[0].g
    assert list(inside.node[0].input) == ["a/x", "a/w"]
    assert inside.output[0].name == "a/sum"
    assert graph.initializer[0].name == "a/w"
    assert names_read(graph.node) >= {"a/c", "a/x", "a/w", "a/sum"}


def test_an_input_that_is_left_out_stays_without_a_name() -> None:
    graph = helper.make_graph([helper.make_node("Clip", ["x", "", "m"], ["y"])], "g", [], [])
    rename(graph, "a/")
    assert list(graph.node[0].input) == ["a/x", "", "a/m"]


def test_only_what_an_output_depends_on_is_kept() -> None:
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Abs", ["x"], ["b"]),
        helper.make_node("Exp", ["a"], ["c"]),
    ]
    assert [node.op_type for node in reaching(nodes, ["c"])] == ["Neg", "Exp"]


def test_a_batch_axis_that_is_fixed_is_refused_by_name(tmp_path: Path) -> None:
    card = toy_card("a-f0")
    member = open_member(save_member(tmp_path, card, toy_model(card, batch=4)))
    with pytest.raises(MemberError, match=r"a-f0.onnx: its batch axis is fixed at 4"):
        joined([packed_member(member)], "mean")


def test_a_member_that_depends_on_its_batch_is_refused_by_name(tmp_path: Path) -> None:
    from dataclasses import replace

    card = replace(toy_card("a-f0"), batch="alone")
    with pytest.raises(MemberError, match=r"a-f0.onnx: its predictions depend on the rest"):
        joined([opened(tmp_path, "a-f0", card=card)], "mean")


def test_other_versions_of_other_operators_are_refused_by_name(tmp_path: Path) -> None:
    members = []
    for name, version in (("a-f0", 2), ("b-f0", 3)):
        card = toy_card(name)
        model = toy_model(card)
        model.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", version))
        members.append(packed_member(open_member(save_member(tmp_path, card, model))))
    with pytest.raises(MemberError, match=r"b-f0.onnx: operators of ai.onnx.ml in version 3"):
        joined(members, "mean")
