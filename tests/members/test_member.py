"""Members that are not what they should be: exit 4 before any image is read."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from begun import begin
from onnx import numpy_helper
from toys import MakeMember, external, save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.members import member as members
from ensemble.members.card_json import from_json, to_json
from ensemble.members.member import (
    embed_card,
    open_member,
    with_external_data,
    write_sidecar,
)


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


def test_another_folds_external_data_is_refused(tmp_path: Path) -> None:
    first, second = external(tmp_path, "toy-f0", 0), external(tmp_path, "toy-f1", 1)
    data = (second.parent / "toy-f1.data").read_bytes()
    (first.parent / "toy-f0.data").write_bytes(data)
    with pytest.raises(MemberError, match="another fold"):
        open_member(first)


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


def test_an_old_member_that_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card, opset=9)
    model.graph.node[1].input[1] = "nowhere"
    with pytest.raises(MemberError, match="cannot be brought to opset"):
        open_member(save_member(tmp_path, card, model))


# ---- what a member is


def test_a_member_is_told_apart_by_every_byte_of_its_files(tmp_path: Path) -> None:
    path = external(tmp_path)
    first = open_member(path).sha256
    assert open_member(path).sha256 == first
    path.with_name("toy-f0.onnx.card.json").unlink()
    data = path.parent / "toy-f0.data"
    data.write_bytes(data.read_bytes()[::-1])
    write_sidecar(path, toy_card())
    assert open_member(path).sha256 != first


def test_another_name_of_the_file_is_the_same_member(make_member: MakeMember) -> None:
    path = make_member()
    first = open_member(path)
    again = open_member(path.rename(path.with_name("other.onnx")))
    assert (again.sha256, again.card) == (first.sha256, first.card)


@pytest.mark.parametrize(("opset", "converted"), [(9, True), (12, True), (13, False), (18, False)])
def test_a_member_below_the_opset_of_the_graph_is_brought_up(
    tmp_path: Path, opset: int, converted: bool
) -> None:
    card = toy_card()
    member = open_member(save_member(tmp_path, card, toy_model(card, opset=opset)))
    assert member.converted == converted
    assert member.model.opset_import[0].version >= 13


# ---- cards inside and beside


def test_a_card_is_written_in_place_of_another() -> None:
    model = toy_model(toy_card())
    model.metadata_props.add(key="author", value="me")
    for name in ("a-f0", "b-f1"):
        embed_card(model, toy_card(name))
    assert [p.key for p in model.metadata_props] == ["author", "ensemble.card"]
    assert from_json(model.metadata_props[1].value, "here") == toy_card("b-f1")


def test_a_card_beside_records_the_hash_of_every_file(tmp_path: Path) -> None:
    path = external(tmp_path)
    source = open_member(path).card.source
    data = {name: (path.parent / name).read_bytes() for name in ("toy-f0.onnx", "toy-f0.data")}
    assert source == {f"sha256:{n}": hashlib.sha256(d).hexdigest() for n, d in data.items()}


def test_a_card_beside_another_file_is_refused(tmp_path: Path) -> None:
    path = external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    model.doc_string = "another"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(MemberError, match="toy-f0.onnx"):
        open_member(path)


def test_a_member_without_a_card_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    onnx.save(toy_model(toy_card()), tmp_path / "m.onnx")
    with pytest.raises(MemberError, match=r"m\.onnx.*card"):
        open_member(tmp_path / "m.onnx")


def test_weights_come_inside_where_a_graph_is_to_be_converted(tmp_path: Path) -> None:
    member = open_member(external(tmp_path))
    whole = with_external_data(member)
    expected = numpy_helper.to_array(toy_model(toy_card()).graph.initializer[0])
    np.testing.assert_array_equal(numpy_helper.to_array(whole.graph.initializer[0]), expected)
    assert member.model.graph.initializer[0].external_data


def test_weights_too_large_to_come_inside_are_told_with_the_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MAX_PROTOBUF", 2000)
    told = "with its external data it has .* bytes, .* at most 2000. .* --precision fp32"
    with pytest.raises(MemberError, match=told):
        with_external_data(open_member(external(tmp_path)))


# ---- what is no member


@pytest.mark.parametrize(("magic", "name"), [(b"ORTM", ".ort"), (b"TFL3", "TensorFlow Lite")])
def test_a_net_of_another_format_is_told_from_a_damaged_member(
    tmp_path: Path, magic: bytes, name: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x20\0\0\0" + magic + bytes(100))
    with pytest.raises(MemberError, match=f"m.onnx: .*{name}.*not ONNX"):
        open_member(tmp_path / "m.onnx")


def test_a_folder_is_no_member(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(MemberError, match="m.onnx: not a regular file"):
        open_member(tmp_path / "m.onnx")


def test_a_checkpoint_is_told_from_a_damaged_member(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(MemberError, match="m.safetensors.*export"):
        open_member(tmp_path / "m.safetensors")
