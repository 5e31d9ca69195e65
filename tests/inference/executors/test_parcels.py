"""A member's files go by content, and are kept where they arrive."""

from pathlib import Path

import pytest
from toys import MakeMember, external

from ensemble.errors import MemberError
from ensemble.files.atomic import sha256_bytes
from ensemble.inference.executors.parcels import pack, unpack
from ensemble.members.member import open_member


def packed(path: Path) -> tuple[object, dict[str, bytes]]:
    kept: dict[str, bytes] = {}
    return pack(path, open_member(path).sha256, kept.__setitem__), kept


def test_a_member_in_one_file_is_the_same_where_it_arrives(
    make_member: MakeMember, tmp_path: Path
) -> None:
    path = make_member()
    parcel, kept = packed(path)
    arrived = unpack(parcel, tmp_path / "cache", kept.__getitem__)
    assert arrived.read_bytes() == path.read_bytes()
    assert open_member(arrived).sha256 == open_member(path).sha256


def test_a_card_and_external_data_travel_too(tmp_path: Path) -> None:
    path = external(tmp_path)
    parcel, kept = packed(path)
    assert [name for name, _ in parcel.files] == [
        "toy-f0.onnx", "toy-f0.onnx.card.json", "toy-f0.data",
    ]  # fmt: skip
    assert {sha256_bytes(data) for data in kept.values()} == set(kept)
    arrived = unpack(parcel, tmp_path / "cache", kept.__getitem__)
    assert open_member(arrived).sha256 == open_member(path).sha256


def test_what_is_there_is_not_fetched_again(make_member: MakeMember, tmp_path: Path) -> None:
    parcel, kept = packed(make_member())
    first = unpack(parcel, tmp_path / "cache", kept.__getitem__)
    assert unpack(parcel, tmp_path / "cache", {}.__getitem__) == first


def test_what_is_there_and_was_changed_is_fetched_again(
    make_member: MakeMember, tmp_path: Path
) -> None:
    path = make_member()
    parcel, kept = packed(path)
    unpack(parcel, tmp_path / "cache", kept.__getitem__).write_bytes(b"odd")
    assert unpack(parcel, tmp_path / "cache", kept.__getitem__).read_bytes() == path.read_bytes()


def test_folds_of_one_name_do_not_overwrite_each_other(
    make_member: MakeMember, tmp_path: Path
) -> None:
    one, kept = packed(make_member(seed=0))
    two, more = packed(make_member(seed=1))
    first = unpack(one, tmp_path / "cache", kept.__getitem__)
    assert unpack(two, tmp_path / "cache", more.__getitem__) != first
    assert first.is_file()


def test_a_member_that_vanishes_before_it_is_sent_is_named(
    make_member: MakeMember, tmp_path: Path
) -> None:
    with pytest.raises(MemberError, match=r"gone\.onnx: cannot read the member"):
        pack(tmp_path / "gone.onnx", "00", lambda *_: None)
