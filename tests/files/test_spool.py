"""Bytes wait under no name until they are published, whole, or are gone."""

import errno
import hashlib
import io
from pathlib import Path

import pytest

from ensemble.errors import StoreError
from ensemble.files import spool
from ensemble.files.spool import Spool, spooled


@pytest.mark.parametrize("held", [1, 1 << 20])
def test_what_was_written_is_published_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(spool, "_HELD", held)
    path = tmp_path / "s.csv"
    with spooled(path) as file:
        file.write(b"id,label\n")
        file.write(b"a,cat\n")
        assert list(tmp_path.iterdir()) == []
        file.publish(path)
    assert path.read_bytes() == b"id,label\na,cat\n"
    assert file.sha256 == hashlib.sha256(b"id,label\na,cat\n").hexdigest()


def test_what_is_not_published_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_HELD", 1)
    with spooled(tmp_path / "new" / "s.csv") as file:
        file.write(b"a" * 100)
    assert list(tmp_path.iterdir()) == []


def test_a_piece_is_read_back_by_its_place(tmp_path: Path) -> None:
    with spooled(tmp_path / "s.csv") as file:
        assert file.writable()
        file.write(b"abc")
        assert file.tell() == 3
        file.write(b"def")
        assert file.piece(2, 5) == b"cde"


class Full(io.BytesIO):
    """A disk without room."""

    def write(self, data: object, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_names_what_was_to_be_published() -> None:
    file = Spool(Full(), Path("out/s.csv"))
    with pytest.raises(StoreError, match=r"cannot write out/s\.csv: No space left"):
        file.write(b"a")
