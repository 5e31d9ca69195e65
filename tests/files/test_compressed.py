"""A compressed table is unpacked as it is read, or it is said what is wrong with it."""

import gzip
import zipfile
from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.files import compressed
from ensemble.files.compressed import stem_of, unpacked
from ensemble.files.csv_tables import read_table


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_table_is_the_same_packed_or_not(tmp_path: Path) -> None:
    text = b"id,label\r\n007,\xc3\xa9\r\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text))
    (tmp_path / "t.csv").write_bytes(text)
    packed = zipped(tmp_path / "t.zip", t=text)
    found = [read_table(path) for path in (tmp_path / "t.csv", tmp_path / "t.csv.gz", packed)]
    assert found == [(["id", "label"], [["007", "é"]])] * 3


def test_what_is_no_archive_is_refused_by_its_name(tmp_path: Path) -> None:
    for name in ("t.csv.gz", "t.zip"):
        (tmp_path / name).write_bytes(b"id,label\na,b\n")
        with pytest.raises(UsageError, match=f"{name}: cannot unpack it"):
            unpacked(tmp_path / name)
    whole = gzip.compress(b"id,label\n" * 99)
    (tmp_path / "t.csv.gz").write_bytes(whole[:-12])
    with pytest.raises(UsageError, match="cannot unpack it"):
        unpacked(tmp_path / "t.csv.gz")


def test_an_archive_of_several_files_is_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one table in it; found a, b"):
        unpacked(zipped(tmp_path / "t.zip", a=b"x", b=b"y"))
    one = zipped(tmp_path / "u.zip", **{"a": b"x", "__MACOSX/a": b"y"})
    assert unpacked(one) == b"x"


def test_an_archive_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "MOST", 1000)
    (tmp_path / "t.gz").write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(UsageError, match="unpacks to more than"):
        unpacked(tmp_path / "t.gz")
    with pytest.raises(UsageError, match="unpacks to more than"):
        unpacked(zipped(tmp_path / "t.zip", t=bytes(1001)))


@pytest.mark.parametrize("name", ["a.v2.csv", "a.v2.csv.gz", "a.v2.CSV.zip", "a.v2.zip"])
def test_the_name_of_a_table_is_the_same_packed_or_not(name: str) -> None:
    assert stem_of(Path("x") / name) == "a.v2"
