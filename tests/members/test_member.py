"""Members that are not what they should be: exit 4 before any image is read."""

import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from toys import MakeMember, save_member, toy_card, toy_model

from ensemble.errors import EnsembleError, MemberError, UsageError
from ensemble.inference import probe
from ensemble.inference import start as lineup
from ensemble.inference.probe import probe_images
from ensemble.inference.ready import Player
from ensemble.members.card import from_json, to_json
from ensemble.members.member import open_member, write_sidecar
from ensemble.members.together import check_together
from ensemble.records import Activation, Merge, Size
from ensemble.runtime.devices import why_no_cuda
from ensemble.views import policy as views


def begin(path: Path, tta: str = "none", merge: Merge = "mean", batch: int = 4) -> Player:
    """Open a member and start it on the CPU."""
    return lineup.start(
        open_member(path), views.preset(tta), merge, device="cpu", threads=1, batch=batch
    )


def test_a_member_on_the_cpu_has_a_lane_a_thread(make_member: MakeMember) -> None:
    member = open_member(make_member())
    player = lineup.start(
        member, views.preset("none"), "mean", device="cpu", threads=3, batch=4
    )  # fmt: skip
    assert player.scorer.lanes == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<html><body>not found</body></html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x08\x08\x12\xff\xff", "truncated or not an ONNX"),
        (b"just text", "truncated or not an ONNX"),
    ],
)
def test_a_file_that_is_no_member_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m-f0.onnx"
    path.write_bytes(content)
    with pytest.raises(MemberError, match=f"m-f0.onnx.*{message}"):
        open_member(path)


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match="nowhere.onnx"):
        open_member(tmp_path / "nowhere.onnx")


def test_a_url_is_told_from_a_missing_file() -> None:
    with pytest.raises(MemberError, match="URL"):
        open_member(Path("https://example.invalid/m-f0.onnx"))


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
def test_a_truncated_member_is_refused(make_member: MakeMember, keep: float) -> None:
    path = make_member()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(MemberError, match="toy-f0.onnx"):
        begin(path)


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


def test_external_data_beside_the_member_is_run(tmp_path: Path) -> None:
    assert begin(external(tmp_path)).scorer.provider == "CPUExecutionProvider"


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


def test_another_folds_external_data_is_refused(tmp_path: Path) -> None:
    first, second = external(tmp_path, "toy-f0", 0), external(tmp_path, "toy-f1", 1)
    data = (second.parent / "toy-f1.data").read_bytes()
    (first.parent / "toy-f0.data").write_bytes(data)
    with pytest.raises(MemberError, match="another fold"):
        open_member(first)


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
    with pytest.raises(MemberError, match=message):
        open_member(save_member(tmp_path, card, model))


def test_members_that_disagree_on_classes_cannot_vote(make_member: MakeMember) -> None:
    first = make_member("a-f0")
    second = make_member("b-f0", classes=("cat", "dog", "fox"))
    with pytest.raises(MemberError, match="only in the first: \\['eel'\\]"):
        check_together([open_member(first), open_member(second)], None)


def test_members_with_classes_in_another_order_cannot_vote(make_member: MakeMember) -> None:
    first = make_member("a-f0")
    second = make_member("b-f0", classes=("dog", "cat", "eel"))
    with pytest.raises(MemberError, match="another order"):
        check_together([open_member(first), open_member(second)], None)


def test_members_of_different_sizes_can_vote(make_member: MakeMember) -> None:
    first = make_member("a-f0")
    second = make_member("b-f0", size=Size(10, 12))
    check_together([open_member(first), open_member(second)], None)


def softmaxed(tmp_path: Path, activation: Activation) -> Path:
    """A member whose graph ends in a Softmax, with a card that may say otherwise."""
    card = toy_card(activation=activation)
    model = toy_model(card)
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(helper.make_node("Softmax", ["raw"], ["logits"], axis=1))
    return save_member(tmp_path, card, model)


def test_a_double_softmax_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match="probabilities already"):
        begin(softmaxed(tmp_path, "softmax"))


def test_logits_declared_as_probabilities_are_refused(make_member: MakeMember) -> None:
    with pytest.raises(MemberError, match="no probabilities"):
        begin(make_member(activation="none"))


def test_probabilities_declared_as_such_are_run(tmp_path: Path) -> None:
    assert begin(softmaxed(tmp_path, "none")).batch == 4


def test_a_static_batch_is_kept(tmp_path: Path) -> None:
    card = toy_card()
    player = begin(save_member(tmp_path, card, toy_model(card, batch=8)), tta="flip")
    assert (player.batch, player.fixed_batch) == (2, True)


def test_a_static_batch_that_the_views_do_not_divide_is_refused(tmp_path: Path) -> None:
    card = toy_card()
    path = save_member(tmp_path, card, toy_model(card, batch=6))
    with pytest.raises(MemberError, match="fixed at 6.*dynamic"):
        begin(path, tta="flip")


def test_a_view_that_the_member_cannot_take_is_refused(make_member: MakeMember) -> None:
    with pytest.raises(MemberError, match="dynamic-size"):
        begin(make_member(), tta="multiscale")


def test_a_quarter_turn_of_an_oblong_input_is_refused(make_member: MakeMember) -> None:
    with pytest.raises(EnsembleError, match="8x10 pixels only"):
        begin(make_member(size=Size(8, 10)), tta="d4")


def test_crops_that_are_the_whole_image_are_duplicates(make_member: MakeMember) -> None:
    with pytest.raises(UsageError, match="would count twice"):
        begin(make_member(), tta="five_crop(8,8)")


def test_a_member_of_an_old_opset_is_converted_and_compared(tmp_path: Path) -> None:
    card = toy_card()
    new = begin(save_member(tmp_path / "new", card, toy_model(card)), tta="flip")
    old = begin(save_member(tmp_path / "old", card, toy_model(card, opset=9)), tta="flip")
    images = probe_images((4, 8, 8, 3))
    assert old.member.converted
    np.testing.assert_allclose(
        old.scorer.score(images)["label"], new.scorer.score(images)["label"], atol=1e-6
    )


def test_cuda_asked_for_and_not_there_is_an_error(make_member: MakeMember) -> None:
    member = open_member(make_member())
    if not why_no_cuda():
        pytest.skip("CUDA starts here")
    with pytest.raises(EnsembleError, match="CUDA does not start"):
        lineup.start(member, views.preset("none"), "mean", device="cuda", threads=1, batch=2)


def test_a_card_survives_the_round_trip() -> None:
    card = toy_card()
    assert from_json(to_json(card), "here") == card


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('"schema": 1|"schema": 9', "schema"),
        ('"fit": "crop"|"fit": "zoom"', "fit"),
        ('"height": 8|"height": 0', "height"),
        ('"crop_pct": 1.0|"crop_pct": 0', "crop_pct"),
        ('"activation": "softmax"|"activation": "sigmoid"', "activation"),
        ('"eel"|"dog"', "classes"),
        ('"arch": "toy"|"arch": "toy", "run": "rm"', "run"),
        ('"fold": 0|"fold": -1', "fold"),
    ],
)
def test_a_wrong_field_of_a_card_is_named(change: str, field: str) -> None:
    before, after = change.split("|")
    text = to_json(toy_card())
    assert before in text
    with pytest.raises(MemberError, match=field):
        from_json(text.replace(before, after), "here")


@pytest.mark.parametrize(
    "name", ["/home/me/x", "../../x", "a/b", "a\\b", "C:x", "..", ".hidden", "x" * 201]
)
def test_a_card_whose_name_is_no_file_name_is_refused(name: str) -> None:
    text = to_json(replace(toy_card(), name=name))
    with pytest.raises(MemberError, match="'name': expected what a file may be called"):
        from_json(text, "here")


@pytest.mark.parametrize("name", ["resnet-f0", "Größe 2.1 (ema)", "x" * 200])
def test_a_card_may_have_any_file_name(name: str) -> None:
    assert from_json(to_json(replace(toy_card(), name=name)), "here").name == name


def test_a_mean_on_the_scale_of_bytes_is_refused() -> None:
    card = toy_card()
    card = replace(card, preprocess=replace(card.preprocess, mean=(123.675, 116.28, 103.53)))
    with pytest.raises(MemberError, match=r"mean.*from 0 to 1.*divide by 255"):
        from_json(to_json(card), "here")


def test_one_class_is_no_classification() -> None:
    with pytest.raises(MemberError, match="two or more"):
        from_json(to_json(toy_card(classes=("cat",))), "here")


def test_a_huge_card_is_refused() -> None:
    with pytest.raises(MemberError, match="bytes"):
        from_json(" " * (9 * 1024 * 1024), "here")


def test_a_nan_weight_is_not_mistaken_for_a_wrong_activation(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    matrix = numpy_helper.to_array(model.graph.initializer[0]).copy()
    matrix[0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    assert begin(save_member(tmp_path, card, model)).batch == 4


def test_a_card_inside_is_not_overruled_by_one_beside(make_member: MakeMember) -> None:
    path = make_member()
    with pytest.raises(MemberError, match="card inside"):
        write_sidecar(path, toy_card())
    path.with_name(f"{path.name}.card.json").write_text(to_json(toy_card()))
    with pytest.raises(MemberError, match="delete that"):
        open_member(path)


def test_external_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    extra = model.graph.initializer.add()
    extra.CopyFrom(model.graph.initializer[0])
    extra.name = "unused"
    for folder, tensor in (("a", model.graph.initializer[0]), ("b", extra)):
        (path.parent / folder).mkdir()
        shutil.copy(path.parent / "toy-f0.data", path.parent / folder / "w.data")
        next(e for e in tensor.external_data if e.key == "location").value = f"{folder}/w.data"
    path.with_name(f"{path.name}.card.json").unlink()
    path.write_bytes(model.SerializeToString())
    write_sidecar(path, toy_card())
    open_member(path)
    data = path.parent / "a" / "w.data"
    data.write_bytes(data.read_bytes()[::-1])
    with pytest.raises(MemberError, match="a/w.data is not the file"):
        open_member(path)


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


def test_a_batch_that_is_fixed_inside_is_refused_with_a_hint(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    shape = numpy_helper.from_array(np.array([2, 192], np.int64), "shape")
    model.graph.initializer.append(shape)
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["image", "shape"], ["flat"]))
    with pytest.raises(MemberError, match=r"toy-f0\.onnx: it fails.*dynamic shapes"):
        begin(save_member(tmp_path, card, model))


def test_a_batch_that_is_fixed_inside_at_that_of_the_probe_is_refused_too(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["image", "four"], ["flat"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([4, -1]), "four"))
    with pytest.raises(MemberError, match="fails on 1 images .* fixed inside"):
        begin(save_member(tmp_path, card, model))


def test_members_whose_heads_are_called_otherwise_cannot_vote(make_member: MakeMember) -> None:
    first, second = open_member(make_member("a-f0")), open_member(make_member("b-f0"))
    head = replace(second.card.heads[0], name="kind")
    second = replace(second, card=replace(second.card, heads=(head,)))
    with pytest.raises(MemberError, match="called 'kind'"):
        check_together([first, second], None)


@pytest.mark.parametrize(("labels", "refused"), [(3, False), (8, True)])
def test_few_labels_in_0_to_1_prove_nothing(
    make_member: MakeMember, labels: int, refused: bool
) -> None:
    classes = [f"label{n}" for n in range(labels)]
    path = make_member(classes=classes, task="multilabel", activation="sigmoid")
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(helper.make_node("Sigmoid", ["raw"], ["logits"]))
    onnx.save(model, path)
    with pytest.raises(MemberError, match="probabilities") if refused else nullcontext():
        begin(path)


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
    assert begin(calling(tmp_path, inner, outer)).batch == 4


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


@pytest.mark.parametrize("batch", [-1, 0, 10**12])
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


def test_an_old_member_that_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card, opset=9)
    model.graph.node[1].input[1] = "nowhere"
    with pytest.raises(MemberError, match="cannot be brought to opset"):
        open_member(save_member(tmp_path, card, model))


def test_an_input_too_large_to_probe_is_refused_before_it_is_made(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_PROBE_PIXELS", 4 * 8 * 8 - 1)
    with pytest.raises(MemberError, match="4 images of 8x8 pixels are more than a probe takes"):
        begin(make_member())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('"eel"|"\\ud800"', "JSON"),
        ('"eel"|"a\\u0000b"', "control characters"),
        ('"crop_pct": 1.0|"crop_pct": 1' + "0" * 400, "finite"),
        ('"fold": 0|"fold": 1' + "0" * 30, "fold"),
        ('"name": "toy-f0"|"name": ' + "[" * 400 + "]" * 400, "name"),
    ],
    ids=["surrogate", "control", "number", "fold", "depth"],
)
def test_odd_values_of_a_card_are_refused_by_field(change: str, field: str) -> None:
    before, after = change.split("|")
    text = to_json(toy_card())
    assert before in text
    with pytest.raises(MemberError, match=field):
        from_json(text.replace(before, after, 1), "here")


def test_a_card_that_names_a_factory_is_refused() -> None:
    text = to_json(toy_card()).replace('"arch": "toy"', '"arch": "toy", "factory": "os:system"')
    with pytest.raises(MemberError, match="factory"):
        from_json(text, "here")


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
