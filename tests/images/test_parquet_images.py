"""Which column of a Parquet file holds images, and which ids its rows have."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packed import to_parquet

from ensemble.errors import UsageError
from ensemble.images.location import local_file
from ensemble.images.parquet_images import parquet_rows
from ensemble.records import IdFrom

FILES = {f"d/{n:03d}.png": bytes([n]) * (n + 1) for n in range(12)}


def write(folder: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), folder / "a.parquet")
    return folder / "a.parquet"


def found(
    path: Path, image_col: str | None = None, id_col: str | None = None, id_from: IdFrom = "stem"
) -> dict[str, bytes]:
    rows = parquet_rows(local_file(path), image_col, id_col, id_from)
    return {name: row.read_bytes() for name, row in rows}


@pytest.mark.parametrize(
    ("id_from", "expected"),
    [("stem", "000"), ("name", "000.png"), ("path", "d/000.png")],
)
def test_ids_are_made_of_the_path_beside_the_bytes(
    tmp_path: Path, id_from: IdFrom, expected: str
) -> None:
    rows = found(to_parquet(tmp_path / "a.parquet", FILES), id_from=id_from)
    assert next(iter(rows)) == expected
    assert list(rows.values()) == list(FILES.values())


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_bytes_of_each_kind_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    path = write(tmp_path, id=["a", "b"], jpeg=pa.array([b"x", b"yy"], kind))
    assert found(path) == {"a": b"x", "b": b"yy"}


def test_a_column_of_ids_is_taken_as_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, image=[b"x", b"y"], key=["007", " NA "])
    assert list(found(path, id_col="key")) == ["007", " NA "]


def test_whole_numbers_are_ids(tmp_path: Path) -> None:
    assert list(found(write(tmp_path, image=[b"x", b"y"], id=[7, 10]))) == ["7", "10"]


def test_a_column_called_id_goes_before_the_path(tmp_path: Path) -> None:
    image = pa.array([{"bytes": b"x", "path": "a.png"}])
    assert list(found(write(tmp_path, image=image, id=["one"]))) == ["one"]


@pytest.mark.parametrize("other", [{}, {"id": ["one"]}])
def test_an_id_column_that_is_not_there_is_told_though_ids_could_be_had(
    tmp_path: Path, other: dict[str, object]
) -> None:
    image = pa.array([{"bytes": b"x", "path": "a.png"}])
    told = r"a\.parquet: no column 'image_idd', as --id-col says; it has image"
    with pytest.raises(UsageError, match=told):
        found(write(tmp_path, image=image, **other), id_col="image_idd")


@pytest.mark.parametrize("name", ["id", "image"])
def test_two_columns_of_a_name_are_refused(tmp_path: Path, name: str) -> None:
    columns = {"id": pa.array(["a"]), "image": pa.array([b"x"])}
    table = pa.table([*columns.values(), columns[name]], names=[*columns, name])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=rf"a\.parquet: several columns are called {name}, "):
        found(tmp_path / "a.parquet")


@pytest.mark.parametrize("bad", [None, "", 1.5, True])
def test_a_row_without_an_id_is_refused_with_its_place(tmp_path: Path, bad: object) -> None:
    good = "a" if bad is None or bad == "" else False if bad is True else 2.5
    path = write(tmp_path, image=[b"x", b"y"], id=[good, bad])
    with pytest.raises(UsageError, match=r"a\.parquet, row group 0, row \d, id: expected a text"):
        found(path)


def test_a_path_that_is_null_is_no_id(tmp_path: Path) -> None:
    path = write(tmp_path, image=pa.array([{"bytes": b"x", "path": None}],
                 pa.struct([("bytes", pa.binary()), ("path", pa.string())])))  # fmt: skip
    with pytest.raises(UsageError, match="row 0: no path.*--id-col"):
        found(path)


@pytest.mark.parametrize(
    ("columns", "image_col", "message"),
    [
        ({"id": ["a"], "text": ["x"]}, None, "0 columns hold bytes (id, text); say by --image-col"),
        ({"id": ["a"], "x": [b"x"], "y": [b"y"]}, None, "2 columns hold bytes (x, y)"),
        ({"id": ["a"], "x": [b"x"]}, "z", "no column 'z', as --image-col says; it has id, x"),
        ({"id": ["a"], "x": ["x"]}, "x", "'x' is string; expected bytes"),
        ({"x": [b"x"], "name": ["a"]}, None, "no column is called id, and 'x' has no path"),
        ({"x": [b"x"], "name": ["a"]}, None, "Say by --id-col which is the id"),
    ],
)
def test_columns_that_are_not_there_are_told(
    tmp_path: Path, columns: dict[str, list[object]], image_col: str | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        found(write(tmp_path, **columns), image_col)
    assert message in str(caught.value)
    assert "a.parquet" in str(caught.value)


def test_the_column_that_is_said_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path, id=["a"], x=[b"x"], y=[b"y"])
    assert found(path, "y") == {"a": b"y"}


@pytest.mark.parametrize("size", [0, 4, 100])
def test_a_damaged_file_is_refused_and_named(tmp_path: Path, size: int) -> None:
    path = to_parquet(tmp_path / "a.parquet", FILES)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UsageError, match=r"a\.parquet: cannot read the Parquet file"):
        found(path)


def test_damaged_ids_are_refused_and_the_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, image=[b"x"] * 50, id=[f"{n:08d}" for n in range(50)])
    pq.write_table(pq.read_table(path), path, write_page_checksum=True, compression="NONE")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"00000042", b"00000043", 1))
    with pytest.raises(UsageError, match=r"a\.parquet: cannot read the Parquet file"):
        found(path)


def test_rows_that_the_list_of_row_groups_has_lost_are_missed(tmp_path: Path) -> None:
    """The last row group, of two rows, says that it has none: no checksum covers the list."""
    path = to_parquet(tmp_path / "a.parquet", FILES)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"\x16\x04&") + 1] = 0
    path.write_bytes(data)
    with pytest.raises(UsageError, match="12 rows are in it, it says, and 10 in its row groups"):
        found(path)
