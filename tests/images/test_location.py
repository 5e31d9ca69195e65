"""Places of images: what they read is what was found, or an error."""

import os
import pickle
from pathlib import Path

import pytest

from ensemble.errors import ImageError
from ensemble.images.location import Location, changed, local_file, stamped


def test_a_path_is_a_location(tmp_path: Path) -> None:
    place: Location = tmp_path / "a.jpg"
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert (place.read_bytes(), place.suffix, str(place)) == (b"x", ".jpg", f"{tmp_path}/a.jpg")


def test_a_file_is_read_from_any_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(100)))
    file = local_file(tmp_path / "a")
    assert (file.size, file.read_at(10, 3)) == (100, bytes([10, 11, 12]))
    with file.open() as stream:
        assert stream.read() == bytes(range(100))


def test_beyond_the_end_there_are_fewer_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    file = local_file(tmp_path / "a")
    assert (file.read_at(2, 5), file.read_at(7, 5)) == (b"c", b"")
    assert (file.read_at(2, 2**40), file.read_at(0, 2**70), file.read_at(2**70, 1)) == (
        b"c", b"abc", b"",
    )  # fmt: skip


@pytest.mark.parametrize("change", ["longer", "touched", "replaced"])
def test_a_file_that_changed_since_is_never_read(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    file = local_file(path)
    if change == "longer":
        path.write_bytes(b"abcd")
    if change == "touched":
        os.utime(path, (1, 1))
    if change == "replaced":
        (tmp_path / "b").write_bytes(b"xyz")
        os.utime(tmp_path / "b", ns=(file.mtime_ns, file.mtime_ns))
        (tmp_path / "b").replace(path)
    for read in (file.open, file.check, lambda: file.read_at(0, 1)):
        with pytest.raises(ImageError, match="changed since it was listed") as caught:
            read()
        assert (caught.value.stage, caught.value.kind) == ("read", "changed")


def test_a_file_goes_to_another_process_and_is_a_key(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    file = local_file(tmp_path / "a")
    again = pickle.loads(pickle.dumps(file))
    assert {file: 1}[again] == 1
    assert again.read_at(0, 3) == b"abc"
    assert stamped(str(tmp_path / "a"), (tmp_path / "a").stat()) == file


def test_what_changed_is_named(tmp_path: Path) -> None:
    assert "photos.tar changed" in str(changed("photos.tar"))
