"""Tables as text: what comes out is what stands there, or the line that is wrong."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.files.csv_tables import column_of, csv_bytes, read_table
from ensemble.submission.sample import read_sample

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6)
)


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(data)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=TABLES)
def test_what_is_written_is_read_again(tmp_path: Path, rows: list[list[str]]) -> None:
    header = [f"c{n}" for n in range(len(rows[0]))]
    path = saved(tmp_path, csv_bytes([header, *rows]))
    assert read_table(path) == (header, rows)


@given(rows=TABLES)
def test_a_stranger_reads_what_is_written(rows: list[list[str]]) -> None:
    text = csv_bytes(rows).decode()
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_table_or_a_usage_error(tmp_path: Path, data: bytes) -> None:
    path = saved(tmp_path, data)
    try:
        header, rows = read_table(path)
    except UsageError as error:
        assert str(path) in str(error)
    else:
        assert all(len(row) == len(header) for row in rows)


@pytest.mark.parametrize("name", ["007", "NA", "null", "1e5", " 8 ", "a,b", 'a"b', "a\rb", "=1"])
def test_ids_stay_as_they_are(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, csv_bytes([("id", "label"), (name, "cat")]))
    assert column_of(path, "label") == {name: "cat"}


def test_plain_cells_are_not_quoted() -> None:
    assert csv_bytes([("id", "n"), ("a", 1), ("b c", 0.5)]) == b"id,n\na,1\nb c,0.5\n"


def test_lines_count_as_an_editor_counts_them(tmp_path: Path) -> None:
    path = saved(tmp_path, b'id,label\n\n"a\nb",x\nc\n')
    with pytest.raises(UsageError, match="line 5: 1 columns"):
        read_table(path)


@pytest.mark.parametrize(
    ("last", "message"),
    [(b"c,y", "line 6: id 'c' stands in line 5 too"), (b",y", "line 6: the id is empty")],
)
def test_ids_are_named_by_the_line_that_an_editor_shows(
    tmp_path: Path, last: bytes, message: str
) -> None:
    path = saved(tmp_path, b'id,label\n\n"a\nb",x\nc,x\n' + last + b"\n")
    with pytest.raises(UsageError, match=message):
        column_of(path, "label")
    with pytest.raises(UsageError, match=message):
        read_sample(path, ("x", "y"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id,label\na,b\n".encode("utf-16"), "not UTF-8"),
        ("id,label\na,b\n".encode("utf-16-le"), "line 1: a NUL byte"),
        (b"id,label\na\0,b\n", "line 2: a NUL byte"),
        (b"id,label\n" + b"x" * 200_000 + b",b\n", "line 2: field larger than field limit"),
        (b'id,label\n"a,b\n', "line 2: unexpected end of data"),
    ],
    ids=["utf-16", "utf-16 without BOM", "nul", "long", "quote"],
)
def test_what_is_no_table_is_named_by_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_table(saved(tmp_path, data))
