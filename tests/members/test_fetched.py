"""Members on a store: copied once, with what belongs to them, and again where they change."""

from pathlib import Path

import pytest
from buckets import BUCKET, Server, filesystem, put, upload
from toys import MakeMember, external

from ensemble.errors import MemberError, UsageError
from ensemble.files.paths import expand
from ensemble.members.fetched import local_members
from ensemble.members.member import SIDECAR, open_member


def test_members_here_are_left_alone(tmp_path: Path) -> None:
    assert local_members(["folds/*.onnx", "a.onnx"], tmp_path) == ["folds/*.onnx", "a.onnx"]


def test_a_list_may_name_members_on_a_store(
    bucket: Server, make_member: MakeMember, tmp_path: Path
) -> None:
    upload(bucket, make_member().parent, "folds")
    (tmp_path / "list.txt").write_text(f"here.onnx\ns3://{BUCKET}/folds/*.onnx\n")
    here, there = local_members([f"@{tmp_path}/list.txt"], tmp_path / "store")
    assert (here, Path(there).name) == ("here.onnx", "toy-f0.onnx")


@pytest.mark.parametrize("given", ["folds", "folds/", "folds/*.onnx", "folds/toy-f?.onnx"])
def test_a_folder_and_a_pattern_give_the_members(
    bucket: Server, make_member: MakeMember, tmp_path: Path, given: str
) -> None:
    paths = [make_member("toy-f0"), make_member("toy-f1", seed=1)]
    upload(bucket, paths[0].parent, "folds")
    put(bucket, "folds/sub/other-f0.onnx", b"x")
    put(bucket, "folds/notes.txt", b"x")
    found = expand(local_members([f"s3://{BUCKET}/{given}"], tmp_path / "store"), ".onnx", "member")
    assert [path.name for path in found] == ["toy-f0.onnx", "toy-f1.onnx"]
    assert [open_member(a).sha256 for a in found] == [open_member(b).sha256 for b in paths]


def test_a_second_run_copies_nothing(
    bucket: Server, make_member: MakeMember, tmp_path: Path
) -> None:
    upload(bucket, make_member().parent, "folds")
    given = [f"s3://{BUCKET}/folds/toy-f0.onnx"]
    first = local_members(given, tmp_path / "store")
    assert f"/{BUCKET}/folds/toy-f0.onnx" in bucket.gets()
    bucket.requests.clear()
    assert local_members(given, tmp_path / "store") == first
    assert f"/{BUCKET}/folds/toy-f0.onnx" not in bucket.gets()


def test_a_member_that_was_replaced_is_copied_to_another_place(
    bucket: Server, make_member: MakeMember, tmp_path: Path
) -> None:
    uri = put(bucket, "toy-f0.onnx", make_member().read_bytes())
    (old,) = local_members([uri], tmp_path / "store")
    other = make_member(seed=5)
    put(bucket, "toy-f0.onnx", other.read_bytes())
    (new,) = local_members([uri], tmp_path / "store")
    assert old != new
    assert open_member(Path(new)).sha256 == open_member(other).sha256


def test_external_data_and_a_card_beside_it_come_along(bucket: Server, tmp_path: Path) -> None:
    path = external(tmp_path)
    upload(bucket, path.parent, "folds")
    (copy,) = local_members([f"s3://{BUCKET}/folds"], tmp_path / "store")
    assert open_member(Path(copy)).sha256 == open_member(path).sha256
    bucket.requests.clear()
    local_members([f"s3://{BUCKET}/folds"], tmp_path / "store")
    assert not [name for name in bucket.gets() if name.endswith((".onnx", ".data", ".json"))]


def test_external_data_that_changed_are_copied_again_and_told_by_the_card(
    bucket: Server, tmp_path: Path
) -> None:
    path = external(tmp_path)
    upload(bucket, path.parent, "folds")
    local_members([f"s3://{BUCKET}/folds"], tmp_path / "store")
    data = path.with_suffix(".data").read_bytes()
    put(bucket, "folds/toy-f0.data", data[::-1])
    (copy,) = local_members([f"s3://{BUCKET}/folds"], tmp_path / "store")
    with pytest.raises(MemberError, match="another fold's weights"):
        open_member(Path(copy))


def test_a_card_that_is_no_longer_there_is_removed_here(bucket: Server, tmp_path: Path) -> None:
    path = external(tmp_path)
    uri = put(bucket, path.name, path.read_bytes())
    for beside in path.parent.iterdir():
        put(bucket, beside.name, beside.read_bytes())
    (copy,) = local_members([uri], tmp_path / "store")
    assert Path(copy + SIDECAR).is_file()
    filesystem(bucket.url).delete_file(f"{BUCKET}/{path.name}{SIDECAR}")
    local_members([uri], tmp_path / "store")
    assert not Path(copy + SIDECAR).exists()


def test_a_copy_that_was_edited_here_is_copied_again(
    bucket: Server, make_member: MakeMember, tmp_path: Path
) -> None:
    path = make_member()
    uri = put(bucket, path.name, path.read_bytes())
    (copy,) = map(Path, local_members([uri], tmp_path / "store"))
    copy.write_bytes(path.read_bytes() + b"more")
    local_members([uri], tmp_path / "store")
    assert copy.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("given", ["none", "none/*.onnx", "folds"])
def test_nothing_there_is_refused(bucket: Server, tmp_path: Path, given: str) -> None:
    put(bucket, "folds/notes.txt", b"x")
    with pytest.raises(UsageError, match="nothing"):
        local_members([f"s3://{BUCKET}/{given}"], tmp_path)


def test_a_member_that_is_refused_is_a_member_error(bucket: Server, tmp_path: Path) -> None:
    put(bucket, "folds/a.onnx", b"x")
    bucket.fail("folds/a.onnx", 403)
    with pytest.raises(MemberError, match=r"a\.onnx: cannot copy the member: .*403"):
        local_members([f"s3://{BUCKET}/folds/*.onnx"], tmp_path)


def test_what_is_no_member_is_a_member_error(bucket: Server, tmp_path: Path) -> None:
    with pytest.raises(MemberError, match=r"a\.onnx"):
        local_members([put(bucket, "a.onnx", b"x" * 100)], tmp_path)
