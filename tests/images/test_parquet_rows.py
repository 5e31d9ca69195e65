"""Rows of Parquet files: right in any order, unpacked once in theirs, and little of them held."""

import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packed import to_parquet

from ensemble.errors import ImageError
from ensemble.images import parquet_rows
from ensemble.images.location import local_file
from ensemble.images.parquet_rows import ParquetRow, open_parquet, stored_order

FILES = {f"{n:03d}.png": random.Random(n).randbytes(n * 40 + 1) for n in range(60)}


def rows(path: Path, each: int = 25) -> list[ParquetRow]:
    file = local_file(to_parquet(path / "a.parquet", FILES, each))
    places = [divmod(n, each) for n in range(len(FILES))]
    return [ParquetRow(file, "image.bytes", group, row, "") for group, row in places]


def read(row: ParquetRow) -> bytes:
    return row.read_bytes()


@pytest.mark.parametrize("order", ["stored", "reversed", "shuffled"])
def test_rows_are_right_in_any_order(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "_BATCH", 4000)
    monkeypatch.setattr(parquet_rows, "_HELD", 8000)
    pairs = list(zip(rows(tmp_path), FILES.values(), strict=True))
    if order == "shuffled":
        random.Random(1).shuffle(pairs)
    for row, data in pairs[:: -1 if order == "reversed" else 1]:
        assert row.read_bytes() == data


def test_rows_are_right_from_several_threads(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, rows(tmp_path) * 5)) == list(FILES.values()) * 5


def test_rows_in_their_order_are_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "_BATCH", 4000)
    begun: list[int] = []
    begin = parquet_rows._Group._begin

    def counted(self: parquet_rows._Group) -> None:
        begun.append(self.number)
        begin(self)

    monkeypatch.setattr(parquet_rows._Group, "_begin", counted)
    for row in rows(tmp_path):
        row.read_bytes()
    assert begun == [0, 1, 2]


def test_little_of_a_row_group_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of one of 2 GB: a batch at a time is unpacked, and the last few are kept."""
    monkeypatch.setattr(parquet_rows, "_BATCH", 2**18)
    monkeypatch.setattr(parquet_rows, "_HELD", 2**20)
    files = {f"{n}.png": random.Random(n).randbytes(2**16) for n in range(600)}
    file = local_file(to_parquet(tmp_path / "big.parquet", files, rows=600, page=8))
    before = pa.total_allocated_bytes()
    highest = 0
    for number in range(600):
        assert len(ParquetRow(file, "image.bytes", 0, number, "").read_bytes()) == 2**16
        highest = max(highest, pa.total_allocated_bytes() - before)
    assert highest < 2**23 < sum(map(len, files.values())) // 4


@pytest.mark.parametrize("kind", ["bytes", "struct", "null struct"])
def test_null_bytes_are_quarantined(tmp_path: Path, kind: str) -> None:
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = {
        "bytes": pa.array([b"x", None]),
        "struct": pa.array([{"bytes": b"x", "path": "a"}, {"bytes": None, "path": "b"}], struct),
        "null struct": pa.array([{"bytes": b"x", "path": "a"}, None], struct),
    }[kind]
    pq.write_table(pa.table({"image": image}), tmp_path / "a.parquet")
    column = "image" if kind == "bytes" else "image.bytes"
    good, bad = (ParquetRow(local_file(tmp_path / "a.parquet"), column, 0, n, "") for n in (0, 1))
    assert good.read_bytes() == b"x"
    with pytest.raises(ImageError, match="the row has no bytes") as caught:
        bad.read_bytes()
    assert (caught.value.stage, caught.value.kind) == ("read", "empty")


def test_damage_is_an_error_of_its_row_group_alone(tmp_path: Path) -> None:
    files = {f"{n}.png": random.Random(n).randbytes(5000) for n in range(20)}
    path = to_parquet(tmp_path / "a.parquet", files, rows=10)
    about = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    data[about.data_page_offset + about.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    file = local_file(path)
    with pytest.raises(OSError, match="CRC"):
        ParquetRow(file, "image.bytes", 0, 3, "").read_bytes()
    assert ParquetRow(file, "image.bytes", 1, 3, "").read_bytes() == files["13.png"]


def test_a_file_that_was_replaced_gives_no_bytes(tmp_path: Path) -> None:
    row = rows(tmp_path)[3]
    to_parquet(tmp_path / "a.parquet", {name: data + b"x" for name, data in FILES.items()})
    with pytest.raises(ImageError, match="changed since it was listed"):
        row.read_bytes()


def test_a_row_goes_to_another_process_and_prints_its_place(tmp_path: Path) -> None:
    row = ParquetRow(rows(tmp_path)[0].file, "image.bytes", 1, 2, "d/x.png")
    again = pickle.loads(pickle.dumps(row))
    assert (again, again.suffix) == (row, ".png")
    assert str(row) == f"{tmp_path}/a.parquet!1/2/d/x.png"
    assert again.read_bytes() == list(FILES.values())[27]


def test_rows_are_sorted_as_they_are_stored(tmp_path: Path) -> None:
    placed = rows(tmp_path)
    assert sorted(placed, key=stored_order) == placed


def test_a_file_is_opened_with_its_checksums(tmp_path: Path) -> None:
    rows(tmp_path)
    assert open_parquet(local_file(tmp_path / "a.parquet")).metadata.num_rows == len(FILES)
