"""An ONNX file is of known versions, domains and functions, and its data lie beside it."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from begun import begin
from onnx import TensorProto, helper, numpy_helper
from toys import MakeMember, external, save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.inference import start
from ensemble.members.member import open_member
from ensemble.members.onnx_checks import (
    MAX_OPSET,
    MIN_OPSET,
    check_opsets,
    check_text,
    external_files,
)
from ensemble.views import policy

HERE = Path("m.onnx")


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    path = external(tmp_path)
    (path.parent / "toy-f0.data").unlink()
    with pytest.raises(MemberError, match="toy-f0.data is missing"):
        open_member(path)


def test_short_external_data_is_named(tmp_path: Path) -> None:
    path = external(tmp_path)
    data = path.parent / "toy-f0.data"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(MemberError, match="cut short"):
        open_member(path)


@pytest.mark.parametrize(
    "location", ["../outside.data", "/etc/hostname", "a\\b", "a\0b", "*/_ORT_MEM_ADDR_/*"]
)
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    path = external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(MemberError, match="outside the member's folder"):
        open_member(path)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_linked_external_data_is_refused(tmp_path: Path, link: object) -> None:
    path = external(tmp_path)
    data = path.parent / "toy-f0.data"
    data.rename(tmp_path / "elsewhere.data")
    assert callable(link)
    link(tmp_path / "elsewhere.data", data)
    with pytest.raises(MemberError, match="regular file with one link"):
        open_member(path)


@pytest.mark.parametrize(
    ("opset", "domain", "ir", "message"),
    [
        (99, "", 8, "opset 99"),
        (6, "", 8, "opset 6"),
        (18, "evil", 8, "evil"),
        (18, "", 99, "IR version 99"),
    ],
)
def test_versions_and_domains_that_are_not_known_are_refused(
    tmp_path: Path, opset: int, domain: str, ir: int, message: str
) -> None:
    card = toy_card()
    model = toy_model(card)
    model.ir_version = ir
    model.opset_import[0].version = opset
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
        model.graph.node[0].domain = domain
    with pytest.raises(MemberError, match=message):
        open_member(save_member(tmp_path, card, model))


@pytest.mark.parametrize("domain", ["com.microsoft.nchwc", "ai.onnx.preview.training", "odd"])
def test_a_domain_that_is_declared_and_not_used_does_not_matter(
    tmp_path: Path, domain: str
) -> None:
    card = toy_card()
    model = toy_model(card)
    model.opset_import.append(helper.make_opsetid(domain, 1))
    member = open_member(save_member(tmp_path, card, model))
    assert [opset.domain for opset in member.model.opset_import] == [""]
    begin(member.path)


def test_a_file_optimised_for_one_processor_is_told_what_to_do() -> None:
    model = toy_model(toy_card())
    model.graph.node[0].domain = "com.microsoft.nchwc"
    with pytest.raises(MemberError, match="nchwc; only .* are run.*ORT_ENABLE_EXTENDED at most"):
        check_opsets(model, HERE)


def test_external_data_of_a_local_function_is_checked(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "hidden")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../outside.data")
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    imports = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("com.microsoft", "Sly", [], ["c"], [node], imports))
    with pytest.raises(MemberError, match="outside the member's folder"):
        open_member(save_member(tmp_path, card, model))


def test_an_operator_of_a_foreign_domain_is_refused(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    model.graph.node[0].domain = "evil"
    with pytest.raises(MemberError, match="domain evil"):
        open_member(save_member(tmp_path, card, model))


@pytest.mark.parametrize(
    "extra", [("offset", "abc"), ("length", "-1"), ("location", "toy-f0.data")]
)
def test_external_data_that_is_described_wrongly_is_refused(
    tmp_path: Path, extra: tuple[str, str]
) -> None:
    path = external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    key, value = extra
    entries = model.graph.initializer[0].external_data
    for at in [i for i, e in enumerate(entries) if e.key == key and key != "location"]:
        entries[at].value = value
    if key == "location":
        entries.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(MemberError, match="external data of matrix: expected"):
        open_member(path)


def function(name: str, *calls: str) -> onnx.FunctionProto:
    """A local function that calls others, or copies its input."""
    steps = ["x", *(f"t{n}" for n in range(len(calls) - 1)), "y"]
    domains = ["" if call == "Identity" else "com.microsoft" for call in calls]
    nodes = [
        helper.make_node(call, [steps[n]], [steps[n + 1]], domain=domain)
        for n, (call, domain) in enumerate(zip(calls, domains, strict=True))
    ]
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_function("com.microsoft", name, ["x"], ["y"], nodes, imports)


def calling(folder: Path, *functions: onnx.FunctionProto) -> Path:
    """A member whose first node calls the last function."""
    card = toy_card()
    model = toy_model(card)
    model.graph.node[0].input[0] = "seen"
    call = helper.make_node(functions[-1].name, ["image"], ["seen"], domain="com.microsoft")
    model.graph.node.insert(0, call)
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return save_member(folder, card, model)


def test_a_member_with_local_functions_is_run(tmp_path: Path) -> None:
    inner, outer = function("A", "Identity"), function("B", "A", "Identity", "A")
    member = open_member(calling(tmp_path, inner, outer))
    ready = start.start(member, policy.preset("none"), "mean", device="cpu", threads=1, batch=4)
    assert ready.batch == 4


@pytest.mark.parametrize("calls", [[("A", "A")], [("A", "B"), ("B", "A")]])
def test_functions_that_call_themselves_are_refused(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    with pytest.raises(MemberError, match="calls itself"):
        open_member(calling(tmp_path, *(function(*call) for call in calls)))


def test_functions_that_double_at_each_step_are_refused(tmp_path: Path) -> None:
    doubled = [function(f"F{n}", f"F{n - 1}", f"F{n - 1}") for n in range(1, 24)]
    with pytest.raises(MemberError, match="nodes once its functions are written out"):
        open_member(calling(tmp_path, function("F0", "Identity"), *doubled))


def test_a_domain_inside_a_branch_is_refused(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    outputs = [helper.make_tensor_value_info("sly", TensorProto.FLOAT, None)]
    body = helper.make_graph([helper.make_node("Run", ["image"], ["sly"], domain="evil")], "body",
                             [], outputs)  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["never"], then_branch=body, else_branch=body)
    )
    with pytest.raises(MemberError, match="domain evil"):
        open_member(save_member(tmp_path, card, model))


def test_a_name_that_is_not_utf8_is_refused(make_member: MakeMember) -> None:
    path = make_member()
    path.write_bytes(path.read_bytes().replace(b"matrix", b"m\xe5trix"))
    with pytest.raises(MemberError, match="is not UTF-8"):
        open_member(path)


# ---- opsets


@pytest.mark.parametrize("opset", [MIN_OPSET, 13, MAX_OPSET])
def test_the_opset_of_the_standard_operators_is_returned(opset: int) -> None:
    model = toy_model(toy_card(), opset=opset)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert check_opsets(model, HERE) == opset


def test_the_standard_domain_has_two_names() -> None:
    model = toy_model(toy_card())
    model.opset_import[0].domain = "ai.onnx"
    assert check_opsets(model, HERE) == 18


@pytest.mark.parametrize("opset", [MIN_OPSET - 1, MAX_OPSET + 1])
def test_an_opset_beyond_the_known_is_told_with_the_known(opset: int) -> None:
    told = f"m.onnx: opset {opset}; expected 7 to 26. Export it again, at opset 18"
    with pytest.raises(MemberError, match=told):
        check_opsets(toy_model(toy_card(), opset=opset), HERE)


def test_a_model_that_imports_nothing_has_no_opset() -> None:
    model = toy_model(toy_card())
    del model.opset_import[:]
    with pytest.raises(MemberError, match="opset 0; expected"):
        check_opsets(model, HERE)


def test_a_foreign_domain_of_a_function_is_named() -> None:
    model = toy_model(toy_card())
    model.functions.append(function("A", "Identity"))
    model.functions[0].node[0].domain = "evil"
    told = "operators of the domain evil; only ai.onnx, ai.onnx.ml, com.microsoft and the standard"
    with pytest.raises(MemberError, match=told):
        check_opsets(model, HERE)


def test_an_older_representation_is_fine() -> None:
    model = toy_model(toy_card())
    model.ir_version = 3
    assert check_opsets(model, HERE) == 18


@pytest.mark.parametrize("depth", [1, 5, 500])
def test_functions_may_call_each_other_in_a_row(depth: int) -> None:
    model = toy_model(toy_card())
    names = [f"F{n}" for n in range(depth)]
    model.functions.extend(
        function(name, below) for name, below in zip(names, ["Identity", *names], strict=False)
    )
    assert check_opsets(model, HERE) == 18


def test_a_function_that_nobody_calls_is_looked_at_too() -> None:
    model = toy_model(toy_card())
    model.functions.append(function("A", "A"))
    with pytest.raises(MemberError, match="m.onnx: its function A calls itself"):
        check_opsets(model, HERE)


# ---- texts


def test_a_model_of_plain_texts_is_fine() -> None:
    model = toy_model(toy_card())
    model.doc_string = "größe \U0001f600"
    check_text(model, HERE)


@pytest.mark.parametrize("text", [b"matrix", b"MatMul", b"logits", b"image"])
def test_a_text_anywhere_that_is_not_utf8_is_refused(text: bytes) -> None:
    data = toy_model(toy_card()).SerializeToString().replace(text, b"\xe5" * len(text))
    model = onnx.ModelProto()
    model.ParseFromString(data)
    with pytest.raises(MemberError, match="m.onnx: damaged: a .* is not UTF-8. Copy it again"):
        check_text(model, HERE)


# ---- external data


def placed(folder: Path, **entries: str) -> onnx.ModelProto:
    """A model whose matrix lies in a file of 2400 bytes, as the entries say."""
    model = toy_model(toy_card())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    (folder / "w.data").write_bytes(bytes(2400))
    return model


def test_a_model_in_one_file_has_no_other() -> None:
    assert external_files(toy_model(toy_card()), HERE) == {}


@pytest.mark.parametrize(
    "entries", [{}, {"offset": "0", "length": "2400"}, {"offset": "96", "length": "2304"}]
)
def test_a_tensor_may_lie_anywhere_within_its_file(tmp_path: Path, entries: dict[str, str]) -> None:
    model = placed(tmp_path, location="w.data", **entries)
    assert external_files(model, tmp_path / "m.onnx") == {"w.data": tmp_path / "w.data"}


def test_a_tensor_that_ends_behind_its_file_is_named(tmp_path: Path) -> None:
    model = placed(tmp_path, location="w.data", offset="97", length="2304")
    told = "external data w.data has 2400 bytes; matrix ends at 2401. The file is cut short"
    with pytest.raises(MemberError, match=told):
        external_files(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("number", ["", " 1", "+1", "1.0", "0x1", "1" * 19, "٣"])
def test_a_place_that_is_no_whole_number_is_refused(tmp_path: Path, number: str) -> None:
    model = placed(tmp_path, location="w.data", offset=number)
    with pytest.raises(MemberError, match="expected a location, and an offset and a length from 0"):
        external_files(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("location", ["", ".", "deep", "w.data/x"])
def test_a_location_that_is_no_file_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "deep").mkdir()
    with pytest.raises(MemberError, match="external data"):
        external_files(placed(tmp_path, location=location), tmp_path / "m.onnx")


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "member"
    folder.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "w.data").write_bytes(bytes(2400))
    (folder / "deep").symlink_to(tmp_path / "outside")
    with pytest.raises(MemberError, match="inside the member's folder"):
        external_files(placed(folder, location="deep/w.data"), folder / "m.onnx")


def test_files_come_sorted_by_their_place(tmp_path: Path) -> None:
    model = placed(tmp_path, location="w.data")
    (tmp_path / "a.data").write_bytes(bytes(2400))
    more = model.graph.initializer.add()
    more.CopyFrom(model.graph.initializer[0])
    more.external_data[0].value = "a.data"
    assert list(external_files(model, tmp_path / "m.onnx")) == ["a.data", "w.data"]


@pytest.mark.parametrize("field", ["values", "indices"])
def test_external_data_of_a_sparse_tensor_are_checked(tmp_path: Path, field: str) -> None:
    model = toy_model(toy_card())
    tensor = getattr(model.graph.sparse_initializer.add(), field)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="gone.data")
    with pytest.raises(MemberError, match="external data gone.data is missing. Copy it beside"):
        external_files(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("field", ["values", "indices"])
def test_external_data_of_a_node_are_checked(tmp_path: Path, field: str) -> None:
    model = toy_model(toy_card())
    node = model.graph.node.add(op_type="Constant", output=["c"])
    attribute = node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
    tensor = getattr(attribute.sparse_tensor, field)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    with pytest.raises(MemberError, match="lies outside the member's folder"):
        external_files(model, tmp_path / "m.onnx")
