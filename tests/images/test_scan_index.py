"""What is as it was is not read again, and a hash that is told is never a stale one."""

import hashlib
import itertools
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_workers import Told
from hypothesis import given
from hypothesis import strategies as st
from packed import packed
from toys import tree

from ensemble.files.remote import RemoteFile
from ensemble.images import scan_index, tar_images, zip_images
from ensemble.images.reading import hash_sources
from ensemble.images.scan_index import ScanIndex, Stamp, open_index, stamp_of
from ensemble.images.sources import Source, scan

LATER = 10 * 10**9


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read, counted where they are."""
    found: list[Path] = []
    real = Path.read_bytes

    def counted(self: Path) -> bytes:
        if self.suffix != ".index":
            found.append(self)
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", counted)
    return found


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds have passed since the files were written: no time of theirs is as new."""
    real = scan_index._clock
    monkeypatch.setattr(scan_index, "_clock", lambda folder: real(folder) + LATER)


def scanned(folder: Path, *, trusted: bool = True, told: Told | None = None) -> list[str]:
    """Hash the images of a folder with the index of a store beside it."""
    index = open_index(folder / "store", [str(folder)], told or Told(), trusted=trusted)
    hashed = hash_sources(scan([folder]).images, 2, index)
    if index is not None:
        index.save()
    return [image.sha256 for image in hashed]


def hashes(folder: Path) -> list[str]:
    """The slow way: every file in the order of the names."""
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.jpg"))]


def index_in(folder: Path) -> Path:
    (path,) = (folder / "store" / "scans").iterdir()
    return path


@pytest.mark.usefixtures("later")
def test_a_second_scan_reads_no_file_and_tells_the_same(tmp_path: Path, reads: list[Path]) -> None:
    folder = tree(tmp_path, *(f"{n}.jpg" for n in range(10, 60)))
    first = scanned(folder)
    assert len(reads) == 50
    reads.clear()
    assert scanned(folder) == first
    assert reads == []
    assert first == hashes(folder)


@pytest.mark.usefixtures("later")
def test_only_what_is_new_is_read(tmp_path: Path, reads: list[Path]) -> None:
    folder = tree(tmp_path, "a.jpg", "b.jpg")
    scanned(folder)
    reads.clear()
    (folder / "c.jpg").write_bytes(b"new")
    (folder / "a.jpg").unlink()
    assert scanned(folder) == hashes(folder)
    assert [path.name for path in reads[:1]] == ["c.jpg"]


@pytest.mark.usefixtures("later")
def test_inputs_that_are_verified_are_all_read(tmp_path: Path, reads: list[Path]) -> None:
    folder = tree(tmp_path, "a.jpg", "b.jpg")
    first = scanned(folder)
    reads.clear()
    assert scanned(folder, trusted=False) == first
    assert len(reads) == 2


@pytest.mark.usefixtures("later")
def test_an_edit_of_the_same_size_whose_time_is_put_back_is_seen(tmp_path: Path) -> None:
    folder = tree(tmp_path, "a.jpg")
    path = folder / "a.jpg"
    first, was = scanned(folder), path.stat()
    path.write_bytes(b"y")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (was.st_size, was.st_mtime_ns, was.st_ino)
    assert scanned(folder) == hashes(folder) != first


@pytest.mark.usefixtures("later")
def test_a_file_that_was_replaced_by_an_older_one_is_seen(tmp_path: Path) -> None:
    folder, path = tree(tmp_path, "a.jpg"), tmp_path / "a.jpg"
    first, was = scanned(folder), path.stat()
    (tmp_path / "old").write_bytes(b"z")
    os.utime(tmp_path / "old", ns=(was.st_atime_ns, was.st_mtime_ns))
    (tmp_path / "old").replace(path)
    assert scanned(folder) == hashes(folder) != first


def test_what_is_as_new_as_the_scan_is_read_again(tmp_path: Path, reads: list[Path]) -> None:
    folder = tree(tmp_path, "a.jpg")
    scanned(folder)
    scanned(folder)
    assert len(reads) == 2


def test_a_file_that_is_written_in_a_loop_never_has_a_stale_hash(tmp_path: Path) -> None:
    path = tree(tmp_path, "a.jpg") / "a.jpg"
    was = path.stat()
    for n in range(200):
        path.write_bytes(b"%03d" % n)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert scanned(tmp_path) == [hashlib.sha256(b"%03d" % n).hexdigest()]


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([1, 10**6, 999_999_999, 2 * 10**9, 10**10])),
        st.tuples(st.just("write"), st.integers(0, 3)),
        st.tuples(st.just("scan"), st.integers(0, 3)),
    ),
    max_size=40,
)


@given(OPERATIONS, st.sampled_from([1, 4 * 10**6, 10**9, 2 * 10**9]), st.integers(0, 2 * 10**9))
def test_no_order_of_edits_and_scans_gives_a_stale_hash(
    operations: list[tuple[str, int]], tick: int, phase: int
) -> None:
    """A file of one size, on a file system of that tick; during a scan it may be written twice."""
    now, content, changed = 10**10 + phase, 0, 0
    known: dict[bytes, bytes] = {}

    def write(value: int) -> None:
        nonlocal content, changed, now
        content, changed, now = value, now - now % tick, now + 1

    for name, value in operations:
        if name == "wait":
            now += value
        elif name == "write":
            write(value)
        else:
            index = ScanIndex(Path("unused"), now, known)
            write(3) if value == 1 else None
            stamp = Stamp("/a.jpg", str(changed), 1, changed)
            if told := index.find(stamp):
                assert told == hashlib.sha256(b"%d" % content).hexdigest()
            write(2) if value == 2 else None
            read = b"%d" % content
            write(1) if value == 3 else None
            index.add(stamp, hashlib.sha256(read).hexdigest())
            known = scan_index._unpacked(scan_index._packed(index.began, index.seen), now)


@pytest.mark.usefixtures("later")
def test_an_index_from_after_the_clock_was_set_back_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Path]
) -> None:
    folder, told = tree(tmp_path, "a.jpg"), Told()
    scanned(folder)
    real = scan_index._clock
    monkeypatch.setattr(scan_index, "_clock", lambda place: real(place) - 3600 * 10**9)
    scanned(folder, told=told)
    assert len(reads) == 2
    assert "newer than the clock, which was set back; every image is hashed" in told.said[0]


@pytest.mark.parametrize("place", [0, 30, 45, 70, -1])
@pytest.mark.usefixtures("later")
def test_an_index_with_a_byte_changed_is_told_of_and_made_anew(
    tmp_path: Path, place: int, reads: list[Path]
) -> None:
    folder, told = tree(tmp_path, "a.jpg"), Told()
    first = scanned(folder)
    path = index_in(folder)
    whole = path.read_bytes()
    data = bytearray(whole)
    data[place] ^= 1
    path.write_bytes(data)
    assert scanned(folder, told=told) == first
    assert len(reads) == 2
    assert told.said == [
        f"{path}: the index of the scan is torn or was edited; every image is hashed, and the "
        f"index made anew"
    ]
    assert len(path.read_bytes()) == len(whole)
    scanned(folder)
    assert len(reads) == 2


@pytest.mark.parametrize("kept", [0, 10, 60])
@pytest.mark.usefixtures("later")
def test_an_index_that_is_cut_off_is_not_believed(tmp_path: Path, kept: int) -> None:
    folder, told = tree(tmp_path, "a.jpg"), Told()
    first = scanned(folder)
    path = index_in(folder)
    path.write_bytes(path.read_bytes()[:kept])
    assert scanned(folder, told=told) == first
    assert len(told.said) == 1


@pytest.mark.usefixtures("later")
def test_a_copy_of_the_images_with_their_index_is_hashed_again(
    tmp_path: Path, reads: list[Path]
) -> None:
    folder = tree(tmp_path / "one", "a.jpg")
    scanned(folder)
    folder.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", folder)
    reads.clear()
    scanned(folder)
    assert len(reads) == 1


@pytest.mark.parametrize("field", ["st_dev", "st_ino", "st_ctime_ns", "st_mtime_ns", "st_size"])
def test_each_of_what_the_system_tells_makes_another_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    path = tree(tmp_path, "a.jpg") / "a.jpg"
    before, stat = stamp_of(path, "/"), path.stat()
    told = {name: getattr(stat, name) for name in dir(stat) if name.startswith("st_")}
    other = SimpleNamespace(**told | {field: told[field] + 1})
    monkeypatch.setattr(scan_index.os, "stat", lambda path: other)
    assert stamp_of(path, "/").key != before.key


def test_a_stamp_is_of_its_place_wherever_it_is_told_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tree(tmp_path, "a.jpg") / "a.jpg"
    monkeypatch.chdir(tmp_path)
    assert stamp_of(Path("a.jpg"), str(tmp_path)) == stamp_of(path, "/elsewhere")
    assert replace(stamp_of(path, "/"), place="/b.jpg").key != stamp_of(path, "/").key


def test_a_stamp_without_times_is_remembered_at_once(tmp_path: Path) -> None:
    index = ScanIndex(tmp_path / "i", 5 * 10**9, {})
    far = Stamp("s3://bucket/a.jpg", '"etag" 7', 7, 0)
    index.add(far, "ab" * 32)
    index.save()
    known = scan_index._unpacked((tmp_path / "i").read_bytes(), 5 * 10**9)
    assert ScanIndex(tmp_path / "i", 6 * 10**9, known).find(far) == "ab" * 32


@pytest.mark.parametrize(
    ("device", "seconds", "kept"),
    [(1, 3, True), (2, 3, False), (2, 299, False), (2, 301, True)],
)
def test_on_another_file_system_images_must_be_five_minutes_old(
    device: int, seconds: int, kept: bool
) -> None:
    began = 10**18
    index = ScanIndex(Path("unused"), began, {}, device=1)
    stamp = Stamp("/a.jpg", "1", 1, began - seconds * 10**9, device)
    index.add(stamp, "ab" * 32)
    assert (stamp.key in index.seen) == kept


def test_the_index_knows_the_file_system_of_its_store(tmp_path: Path) -> None:
    path = tree(tmp_path, "a.jpg") / "a.jpg"
    index = open_index(tmp_path / "store", ["x"], Told())
    assert index is not None
    assert index.device == stamp_of(path, "/").device == tmp_path.stat().st_dev


@pytest.mark.usefixtures("later")
def test_other_inputs_have_an_index_of_their_own(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    for name in ("a.jpg", "b.jpg"):
        index = open_index(tmp_path / "store", [str(tmp_path / name)], Told())
        assert index is not None
        hash_sources(scan([tmp_path / name]).images, 1, index)
        index.save()
    assert len(list((tmp_path / "store" / "scans").iterdir())) == 2


@pytest.mark.usefixtures("later")
def test_an_index_that_has_all_is_not_written_again(tmp_path: Path) -> None:
    folder = tree(tmp_path, "a.jpg")
    scanned(folder)
    before = index_in(folder).stat().st_ino
    scanned(folder)
    assert index_in(folder).stat().st_ino == before


def test_where_a_store_cannot_be_made_every_image_is_hashed_and_it_is_said(tmp_path: Path) -> None:
    folder, told = tree(tmp_path, "a.jpg"), Told()
    (folder / "store").write_text("a file")
    assert scanned(folder, told=told) == hashes(folder)
    assert "no index of the scan in" in told.said[0]
    assert told.said[0].endswith("so every image is hashed: Not a directory")


def test_where_no_time_of_change_is_told_there_is_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_index, "_TELLS_CHANGES", False)
    assert open_index(tmp_path, ["images"], Told()) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("later")
def test_a_file_that_cannot_be_read_is_not_remembered(tmp_path: Path) -> None:
    folder = tree(tmp_path, "b.jpg")
    (folder / "a.jpg").symlink_to("b.jpg")
    sources = scan([folder]).images
    (folder / "b.jpg").unlink()
    index = open_index(folder / "store", [str(folder)], Told())
    assert index is not None
    assert [image.bytes for image in hash_sources(sources, 1, index)] == [-1, -1]
    assert index.seen == {}


def test_a_file_that_grows_while_it_is_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree(tmp_path, "a.jpg")
    sizes = itertools.count(2)
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"x" * next(sizes))
    index = ScanIndex(tmp_path / "i", 2**62, {})
    hash_sources(scan([folder]).images, 1, index)
    assert index.seen == {}


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.usefixtures("later")
def test_members_of_an_archive_are_not_read_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tree(tmp_path / "photos", *(f"{n}.jpg" for n in range(6)))
    path = packed(tmp_path / "photos", kind)
    hashed = partial(hash_archive, path, tmp_path / "store")
    first, again = hashed(), hashed()
    assert again == first
    assert len(first) == 6

    def refuse(*_: object) -> bytes:
        raise OSError

    for module, name in ((tar_images, "TarMember"), (zip_images, "ZipMember")):
        monkeypatch.setattr(getattr(module, name), "read_bytes", refuse)
    assert hashed() == first
    os.utime(path, ns=(1, 1))
    assert hashed() == [("", -1)] * 6


def hash_archive(path: Path, store: Path) -> list[tuple[str, int]]:
    """The hash and size of each member, with the index of a store."""
    index = open_index(store, [str(path)], Told())
    hashed = hash_sources(scan([path]).images, 2, index)
    assert index is not None
    index.save()
    return [(image.sha256, image.bytes) for image in hashed]


def test_an_object_with_an_etag_is_not_read_again(tmp_path: Path) -> None:
    first = open_index(tmp_path, ["s3://bucket"], Told())
    assert first is not None
    first.add(Stamp("s3://bucket/a.jpg", "abc", 3, 0), "0" * 64)
    first.save()
    far = Source("a", RemoteFile("s3://bucket/a.jpg", 3, 0, "abc"))
    (hashed,) = hash_sources([far], 1, open_index(tmp_path, ["s3://bucket"], Told()))
    assert (hashed.sha256, hashed.bytes) == ("0" * 64, 3)
