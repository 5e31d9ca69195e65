"""What was hashed is what is read, or it is said why not."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packed import to_tar, to_zip
from toys import tree

from ensemble.errors import ImageError
from ensemble.files.remote import RemoteFile
from ensemble.images import reading
from ensemble.images.reading import Hashed, hash_sources, read, readers
from ensemble.images.sources import Source, scan
from ensemble.images.tar_images import TarMember
from ensemble.images.zip_images import ZipMember


def test_hashes_keep_the_order(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{i}.jpg" for i in range(20)))
    sources = scan([tmp_path]).images
    assert [h.source for h in hash_sources(sources, threads=4)] == list(sources)


def test_what_was_hashed_is_read(tmp_path: Path) -> None:
    (hashed,) = hash_sources(scan([tree(tmp_path, "a.jpg")]).images, threads=1)
    assert (read(hashed), hashed.bytes) == (b"x", 1)


def test_a_file_that_vanishes_before_the_hash_has_none(tmp_path: Path) -> None:
    hashed = hash_sources([Source("a", tmp_path / "a.jpg")], threads=1)
    assert (hashed[0].sha256, hashed[0].bytes) == ("", -1)


def test_a_file_that_vanishes_after_the_scan_is_unreadable(tmp_path: Path) -> None:
    (hashed,) = hash_sources(scan([tree(tmp_path, "a.jpg")]).images, threads=1)
    hashed.source.path.unlink()
    with pytest.raises(ImageError, match="No such file") as caught:
        read(hashed)
    assert (caught.value.stage, caught.value.kind) == ("read", "unreadable")


@pytest.mark.parametrize("sha256", ["0" * 64, ""])
def test_a_file_that_changes_after_the_scan_is_refused(tmp_path: Path, sha256: str) -> None:
    source = scan([tree(tmp_path, "a.jpg")]).images[0]
    with pytest.raises(ImageError, match="changed since the scan") as caught:
        read(Hashed(source, sha256, 1))
    assert caught.value.stage == "read"


def faulty(error: OSError, times: int) -> Callable[[Path], bytes]:
    """Stand in for Path.read_bytes: fail that many times."""
    left = [error] * times

    def read_bytes(path: Path) -> bytes:
        if left:
            raise left.pop()
        return b"x"

    return read_bytes


def read_with(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, times: int) -> bytes:
    (hashed,) = hash_sources(scan([tree(folder, "a.jpg")]).images, threads=1)
    monkeypatch.setattr(reading, "_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(Path, "read_bytes", faulty(OSError(code, os.strerror(code)), times))
    return read(hashed)


@pytest.mark.parametrize("code", [errno.EIO, errno.EAGAIN, errno.EINTR, errno.ESTALE])
def test_a_transient_fault_is_tried_again_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    assert read_with(tmp_path, monkeypatch, code, times=2) == b"x"


@pytest.mark.parametrize(("code", "times"), [(errno.EIO, 3), (errno.EACCES, 1)])
def test_a_lasting_fault_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, times: int
) -> None:
    with pytest.raises(ImageError, match=os.strerror(code)):
        read_with(tmp_path, monkeypatch, code, times)


def test_a_transient_fault_at_the_hash_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    faults, read_bytes = [errno.EIO], Path.read_bytes

    def flaky(self: Path) -> bytes:
        if faults:
            raise OSError(faults.pop(), "flaky")
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", flaky)
    (hashed,) = hash_sources([Source("a", path)], 1)
    assert hashed.bytes == 1
    assert read(hashed) == b"x"


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 31, 32, 33])
def test_hashes_are_those_of_a_slow_loop(tmp_path: Path, threads: int, count: int) -> None:
    sources = [Source(f"{n}", tmp_path / f"{n}.png") for n in range(count)]
    for number, source in enumerate(sources):
        source.path.write_bytes(b"x" * number)
    found = hash_sources(sources, threads)
    assert [(h.source, h.bytes) for h in found] == [(s, n) for n, s in enumerate(sources)]
    expected = [hashlib.sha256(s.path.read_bytes()).hexdigest() for s in sources]
    assert [h.sha256 for h in found] == expected


def test_a_folder_where_an_image_was_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    (hashed,) = hash_sources([Source("a", tmp_path / "a.jpg")], threads=1)
    assert hashed.bytes == -1
    with pytest.raises(ImageError, match="cannot read the file: Is a directory"):
        read(hashed)


def test_a_name_that_no_system_takes_is_unreadable() -> None:
    (hashed,) = hash_sources([Source("a", Path("a\0b.jpg"))], threads=1)
    with pytest.raises(ImageError, match="cannot read the file: embedded null byte"):
        read(hashed)


def test_a_file_that_changed_says_its_sizes_then_and_now(tmp_path: Path) -> None:
    (hashed,) = hash_sources(scan([tree(tmp_path, "a.jpg")]).images, threads=1)
    hashed.source.path.write_bytes(b"longer")
    with pytest.raises(ImageError) as caught:
        read(hashed)
    assert str(caught.value) == "changed since the scan: it had 1 bytes then, 6 bytes now"
    assert caught.value.kind == "changed"


def test_a_change_that_keeps_the_size_is_a_change(tmp_path: Path) -> None:
    (hashed,) = hash_sources(scan([tree(tmp_path, "a.jpg")]).images, threads=1)
    hashed.source.path.write_bytes(b"y")
    with pytest.raises(ImageError, match="it had 1 bytes then, 1 bytes now"):
        read(hashed)


def test_a_file_that_came_back_is_said_to_have_been_away(tmp_path: Path) -> None:
    (hashed,) = hash_sources([Source("a", tmp_path / "a.jpg")], threads=1)
    tree(tmp_path, "a.jpg")
    with pytest.raises(ImageError, match="it could not be read then, 1 bytes now"):
        read(hashed)


def test_a_file_that_was_touched_only_is_the_same(tmp_path: Path) -> None:
    (hashed,) = hash_sources(scan([tree(tmp_path, "a.jpg")]).images, threads=1)
    os.utime(hashed.source.path, (1, 1))
    assert read(hashed) == b"x"


@pytest.mark.parametrize(("kind", "member"), [("tar", TarMember), ("zip", ZipMember)])
def test_members_are_hashed_as_they_lie_in_their_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, member: type
) -> None:
    names = [f"{n}.png" for n in (7, 2, 9, 0, 4)]
    write = to_tar if kind == "tar" else to_zip
    path = write(tmp_path / f"a.{kind}", {name: name.encode() for name in names})
    read_bytes, order = member.read_bytes, []

    def noted(self: Any) -> bytes:
        order.append(self.name)
        return bytes(read_bytes(self))

    monkeypatch.setattr(member, "read_bytes", noted)
    found = hash_sources(scan([path]).images, 1)
    assert order == names
    assert [each.source.id for each in found] == ["0", "2", "4", "7", "9"]
    assert [each.sha256 for each in found] == [
        hashlib.sha256(name.encode()).hexdigest() for name in sorted(names)
    ]


def test_an_empty_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (hashed,) = hash_sources([Source("a", tmp_path / "a.jpg")], threads=1)
    assert (read(hashed), hashed.bytes) == (b"", 0)


def test_images_far_away_have_threads_that_wait_and_others_as_many_as_are_asked_for() -> None:
    here, far = Source("a", Path("a.png")), Source("b", RemoteFile("s3://photos/b.png", 1, 0))
    assert (readers([here], 2), readers([here, far], 2), readers([far], 32)) == (2, 16, 32)
