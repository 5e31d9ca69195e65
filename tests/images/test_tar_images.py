"""Where the bytes of a tar's members lie, and what is told of tars that are damaged."""

import io
import tarfile
from pathlib import Path

import pytest
from packed import to_tar

from ensemble.errors import ImageError, UsageError
from ensemble.images.location import local_file
from ensemble.images.reading import hash_sources
from ensemble.images.reading import read as read_source
from ensemble.images.sources import scan
from ensemble.images.tar_images import tar_members

FILES = {f"{n:03d}.png": bytes([n]) * (400 * n + 1) for n in range(5)}


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def whole(tmp_path: Path) -> Path:
    return to_tar(tmp_path / "a.tar", FILES)


def read(path: Path) -> dict[str, bytes]:
    found = tar_members(local_file(path))
    return {member.name: member.read_bytes() for member, reason in found if not reason}


def test_members_are_read_where_they_lie(tmp_path: Path) -> None:
    assert read(whole(tmp_path)) == FILES


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_are_whole(tmp_path: Path, form: int) -> None:
    names = ["d/" * 80 + "x" * 140 + ".png", "ü€.png"]
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        for name in names:
            about = tarfile.TarInfo(name)
            about.size = 3
            tar.addfile(about, io.BytesIO(b"abc"))
    assert read(tmp_path / "a.tar") == dict.fromkeys(names, b"abc")


def test_a_member_prints_its_archive_and_its_name(tmp_path: Path) -> None:
    member, _ = tar_members(local_file(whole(tmp_path)))[1]
    assert (str(member), member.suffix) == (f"{tmp_path}/a.tar!001.png", ".png")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                                  tarfile.BLKTYPE, tarfile.FIFOTYPE])  # fmt: skip
def test_links_and_devices_have_a_reason(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        about = tarfile.TarInfo("x.png")
        about.type, about.linkname = kind, "/etc/passwd"
        tar.addfile(about)
    ((_, reason),) = tar_members(local_file(tmp_path / "a.tar"))
    link = kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)
    assert reason == ("link in an archive" if link else "not a regular file")


def test_the_member_in_which_a_tar_is_cut_is_truncated_and_the_rest_is_told(
    tmp_path: Path,
) -> None:
    path = whole(tmp_path)
    found = tar_members(local_file(path))
    last = found[3][0]
    members = tar_members(local_file(cut(path, last.offset + 10)))
    assert [member.name for member, reason in members if not reason] == list(FILES)[:4]
    with pytest.raises(ImageError, match="holds 10 of the 1201 bytes") as caught:
        members[3][0].read_bytes()
    assert (caught.value.stage, caught.value.kind) == ("read", "truncated")
    assert "cut short at byte" in members[-1][1]
    assert "'003.png'" in members[-1][1]


def test_a_tar_cut_anywhere_loses_no_member_without_a_word(tmp_path: Path) -> None:
    path = whole(tmp_path)
    data, found = path.read_bytes(), tar_members(local_file(path))
    ends = [member.offset + member.size for member, _ in found]
    for size in range(1, ends[-1] + 512, 97):
        (tmp_path / "cut.tar").write_bytes(data[:size])
        if size < 512:
            with pytest.raises(UsageError, match=r"cut\.tar: not a tar file"):
                tar_members(local_file(tmp_path / "cut.tar"))
            continue
        told = tar_members(local_file(tmp_path / "cut.tar"))
        assert "cut short" in told[-1][1], size
        good = {m.name for m, reason in told if not reason and m.offset + m.size <= size}
        assert good == {n for n, end in zip(FILES, ends, strict=True) if end <= size}


@pytest.mark.parametrize("size", [2**40, 2**70])
def test_a_header_that_claims_any_number_of_bytes_costs_its_image_alone(
    tmp_path: Path, size: int
) -> None:
    good, bad = tarfile.TarInfo("a.png"), tarfile.TarInfo("b.png")
    good.size, bad.size = 3, size
    blocks = [good.tobuf(tarfile.GNU_FORMAT), b"abc".ljust(512, b"\0"),
              bad.tobuf(tarfile.GNU_FORMAT), bytes(2048)]  # fmt: skip
    (tmp_path / "a.tar").write_bytes(b"".join(blocks))
    one, other = hash_sources(scan([tmp_path / "a.tar"]).images, 1)
    assert (one.source.id, one.bytes, other.source.id, other.sha256) == ("a", 3, "b", "")
    with pytest.raises(ImageError, match=rf"{size} bytes in .*a\.tar, its header says") as caught:
        read_source(other)
    assert (caught.value.stage, caught.value.kind) == ("read", "too large")


@pytest.mark.parametrize("size", [-1, -512, -1024])
@pytest.mark.parametrize("before", [0, 1])
def test_a_header_that_leads_back_is_refused(tmp_path: Path, size: int, before: int) -> None:
    good, bad = tarfile.TarInfo("a.png"), bytearray(tarfile.TarInfo("b.png").tobuf())
    bad[124:136] = (256**12 + size).to_bytes(13, "big")[1:]
    bad[148:156] = b" " * 8
    bad[148:156] = b"%06o\0 " % sum(bad)
    (tmp_path / "a.tar").write_bytes(good.tobuf() * before + bytes(bad) + bytes(2048))
    told = r"no header at byte 512, after the member 'a.png'" if before else "not a tar file"
    with pytest.raises(UsageError, match=told):
        tar_members(local_file(tmp_path / "a.tar"))


def test_a_damaged_header_is_refused_with_its_place(tmp_path: Path) -> None:
    path = whole(tmp_path)
    third = tar_members(local_file(path))[2][0]
    data = bytearray(path.read_bytes())
    data[third.offset - 512] ^= 1
    path.write_bytes(data)
    told = rf"a\.tar: damaged: no header at byte {third.offset - 512}, after the member '001.png'"
    with pytest.raises(UsageError, match=told):
        tar_members(local_file(path))


def test_tars_that_were_joined_are_refused(tmp_path: Path) -> None:
    path = whole(tmp_path)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(UsageError, match="more follows its end mark"):
        tar_members(local_file(path))


def test_a_compressed_tar_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz"):
        pass
    with pytest.raises(UsageError, match="a compressed tar can only be read from its beginning on"):
        tar_members(local_file(tmp_path / "a.tar"))


@pytest.mark.parametrize("data", [b"", b"x" * 2000])
def test_what_is_no_tar_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(UsageError, match=r"a\.tar: not a tar file"):
        tar_members(local_file(tmp_path / "a.tar"))


def test_an_empty_tar_has_no_members(tmp_path: Path) -> None:
    assert tar_members(local_file(to_tar(tmp_path / "a.tar", {}))) == []


def test_a_tar_that_was_replaced_gives_no_bytes(tmp_path: Path) -> None:
    path = whole(tmp_path)
    member, _ = tar_members(local_file(path))[1]
    to_tar(path, {name: data[::-1] + b"x" for name, data in FILES.items()})
    with pytest.raises(ImageError, match="changed since it was listed"):
        member.read_bytes()
