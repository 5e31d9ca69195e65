"""Where the bytes of a zip's members lie, and what is refused: bombs, passwords, damage."""

import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from packed import to_zip

from ensemble.errors import ImageError, UsageError
from ensemble.images import zip_images
from ensemble.images.location import local_file
from ensemble.images.zip_images import zip_members

FILES = {f"{n:03d}.png": bytes(range(256)) * (n + 1) for n in range(4)}


def read(path: Path) -> dict[str, bytes]:
    return {m.name: m.read_bytes() for m, reason in zip_members(local_file(path)) if not reason}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_where_they_lie(tmp_path: Path, method: int) -> None:
    assert read(to_zip(tmp_path / "a.zip", FILES, method)) == FILES


def test_a_zip_behind_other_bytes_is_read_too(tmp_path: Path) -> None:
    data = to_zip(tmp_path / "a.zip", FILES).read_bytes()
    (tmp_path / "b.zip").write_bytes(b"#!/bin/sh\n" + data)
    assert read(tmp_path / "b.zip") == FILES


def test_names_of_other_alphabets_are_whole(tmp_path: Path) -> None:
    names = {"ü€.png": b"a", "d/漢.png": b"b"}
    assert read(to_zip(tmp_path / "a.zip", names)) == names


def test_folders_are_none_and_links_have_a_reason(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.mkdir("d")
        link = zipfile.ZipInfo("x.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
    ((_, reason),) = zip_members(local_file(tmp_path / "a.zip"))
    assert reason == "link in an archive"


def flipped(path: Path, at: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_corrupt_and_its_neighbours_are_not(
    tmp_path: Path, method: int
) -> None:
    path = to_zip(tmp_path / "a.zip", FILES, method)
    member = zip_members(local_file(path))[1][0]
    flipped(path, member.header + 30 + len(member.name) + 4)
    found = dict(zip(FILES, [m for m, _ in zip_members(local_file(path))], strict=True))
    with pytest.raises(ImageError, match=r"damaged in .*a\.zip") as caught:
        found.pop("001.png").read_bytes()
    assert (caught.value.stage, caught.value.kind) == ("read", "corrupt")
    assert all(each.read_bytes() == FILES[name] for name, each in found.items())


def test_a_name_that_its_list_and_its_member_spell_otherwise_is_refused(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "a.zip", FILES)
    flipped(path, path.read_bytes().rindex(b"002.png"))
    with pytest.raises(UsageError, match=r"damaged: its list has '102\.png'"):
        zip_members(local_file(path))


def test_members_that_the_list_has_lost_are_missed(tmp_path: Path) -> None:
    """The length of a comment in the list that is damaged swallows the entries behind it."""
    path = to_zip(tmp_path / "a.zip", FILES)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 32, len(data) - 22 - at - 46 - len("000.png"))
    path.write_bytes(data)
    with pytest.raises(UsageError, match="4 members are in its list, it says, and 1 are found"):
        zip_members(local_file(path))


def test_sizes_that_the_list_has_lost_are_missed(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "a.zip", FILES)
    data = bytearray(path.read_bytes())
    data[(at := data.rindex(b"PK\x01\x02") + 16) : at + 12] = bytes(12)
    path.write_bytes(data)
    with pytest.raises(UsageError, match="'003.png' at byte .*of other sizes"):
        zip_members(local_file(path))


class Stream(io.BytesIO):
    """What cannot be searched, as a pipe."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("a pipe")

    def tell(self) -> int:
        raise OSError("a pipe")


def test_a_zip_that_was_streamed_is_read(tmp_path: Path) -> None:
    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in FILES.items():
            packed.writestr(name, data)
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    assert read(tmp_path / "a.zip") == FILES


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_zip_cut_short_has_lost_its_list_and_is_refused(tmp_path: Path, size: int) -> None:
    path = to_zip(tmp_path / "a.zip", FILES)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UsageError, match=r"a\.zip: not a zip file, or a damaged one"):
        zip_members(local_file(path))


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "a.zip", FILES)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, 1)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"'003\.png' is encrypted"):
        zip_members(local_file(path))


def test_a_method_that_is_not_read_is_refused(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "a.zip", FILES, zipfile.ZIP_LZMA)
    with pytest.raises(UsageError, match="packed by method 14"):
        zip_members(local_file(path))


def test_a_member_that_swells_is_too_large_and_is_never_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = to_zip(tmp_path / "a.zip", {"a.png": bytes(2**25)})
    ((member, _),) = zip_members(local_file(path))
    monkeypatch.setattr(zip_images.zlib, "decompressobj", None)
    with pytest.raises(ImageError, match="a zip bomb") as caught:
        member.read_bytes()
    assert caught.value.kind == "too large"


def test_a_member_that_says_less_than_it_holds_is_unpacked_no_further(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "a.zip", {"a.png": bytes(2**25)})
    data = bytearray(path.read_bytes())
    for at in (data.rindex(b"PK\x01\x02") + 24, data.index(b"PK\x03\x04") + 22):
        struct.pack_into("<I", data, at, 100)
    path.write_bytes(data)
    ((member, _),) = zip_members(local_file(path))
    with pytest.raises(ImageError, match="101 bytes came of it"):
        member.read_bytes()


def test_a_member_that_claims_any_number_of_packed_bytes_is_too_large(tmp_path: Path) -> None:
    ((member, _),) = zip_members(local_file(to_zip(tmp_path / "a.zip", {"a.png": b"abc"})))
    with pytest.raises(ImageError, match="are to become 3") as caught:
        replace(member, packed=2**40).read_bytes()
    assert caught.value.kind == "too large"


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.png", b"x" * 100)
        packed.writestr("b.png", b"x" * 100)
        packed.filelist[1].header_offset = 0
    with pytest.raises(UsageError, match="members overlap"):
        zip_members(local_file(tmp_path / "a.zip"))


def test_a_zip_that_was_replaced_gives_no_bytes(tmp_path: Path) -> None:
    member, _ = zip_members(local_file(to_zip(tmp_path / "a.zip", FILES)))[1]
    to_zip(tmp_path / "a.zip", {name: data + b"x" for name, data in FILES.items()})
    with pytest.raises(ImageError, match="changed since it was listed"):
        member.read_bytes()


def test_a_member_prints_its_archive_and_its_name(tmp_path: Path) -> None:
    member, _ = zip_members(local_file(to_zip(tmp_path / "a.zip", {"d/x.jpg": b"x"})))[0]
    assert (str(member), member.suffix) == (f"{tmp_path}/a.zip!d/x.jpg", ".jpg")
