"""Tables as text: what comes out is what stands there, or the line that is wrong."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.files.csv_tables import (
    as_folds,
    column_of,
    csv_bytes,
    formula_like,
    ids_of,
    read_lines,
    read_table,
    rows_of,
)
from ensemble.submission.reading import read_sample

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


@settings(deadline=None, max_examples=40)
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


# ---- rows and columns


def test_a_bom_and_crlf_do_not_reach_the_cells(tmp_path: Path) -> None:
    path = saved(tmp_path, b'\xef\xbb\xbfid,label\r\na,cat\r\n"b\r\nc",dog\r\n')
    assert read_table(path) == (["id", "label"], [["a", "cat"], ["b\r\nc", "dog"]])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b""])
def test_lines_may_end_as_any_system_ends_them(tmp_path: Path, end: bytes) -> None:
    path = saved(tmp_path, (end or b"\n").join([b"id,x", b"a,1"]) + end)
    assert read_table(path) == (["id", "x"], [["a", "1"]])


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    assert read_table(saved(tmp_path, b"\n\nid,x\n\na,1\n\n\n")) == (["id", "x"], [["a", "1"]])


def test_each_row_has_the_line_that_it_ends_in(tmp_path: Path) -> None:
    _, rows = read_lines(saved(tmp_path, b'id,x\na,1\n\n"b\nc",2\nd,3\n'))
    assert [(row.line, row.cells[0]) for row in rows] == [(2, "a"), (5, "b\nc"), (6, "d")]


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    assert read_table(saved(tmp_path, b"id,x\n")) == (["id", "x"], [])


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_table_of_nothing_is_refused(tmp_path: Path, data: bytes) -> None:
    path = saved(tmp_path, data)
    with pytest.raises(UsageError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: the table is empty"


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_columns_that_are_separated_otherwise_are_refused(tmp_path: Path, mark: str) -> None:
    path = saved(tmp_path, f"id{mark}label\na{mark}cat\n".encode())
    with pytest.raises(UsageError, match="line 1: columns are separated by commas; found 'id"):
        read_table(path)


def test_a_single_column_of_any_other_name_is_a_table(tmp_path: Path) -> None:
    assert read_table(saved(tmp_path, b"id:x y\na\n")) == (["id:x y"], [["a"]])


def test_a_column_that_stands_there_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 1: column 'x' stands there twice"):
        read_table(saved(tmp_path, b"id,x,y,x\na,1,2,3\n"))


@pytest.mark.parametrize(("row", "found"), [(b"a", 1), (b"a,1,2", 3), (b"a,1,", 3)])
def test_a_row_of_another_length_is_named_by_its_line(
    tmp_path: Path, row: bytes, found: int
) -> None:
    with pytest.raises(UsageError, match=f"line 3: {found} columns; the header has 2$"):
        read_table(saved(tmp_path, b"id,x\nb,1\n" + row + b"\n"))


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot read the table: "):
        read_table(tmp_path / name)


def test_bytes_that_are_not_utf8_are_named_by_their_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not UTF-8 at byte 3; save it as UTF-8"):
        read_table(saved(tmp_path, b"id,\xe9\n"))


@pytest.mark.parametrize(
    ("header", "asked", "key"),
    [("x,id", None, "id"), ("id,x", "x", "x")],
)
def test_the_id_is_the_column_asked_for_or_id(
    tmp_path: Path, header: str, asked: str | None, key: str
) -> None:
    columns = header.split(",")
    path = saved(tmp_path, f"{header}\n{columns[0]}1,{columns[1]}1\n".encode())
    assert list(rows_of(path, columns, asked)) == [f"{key}1"]


def test_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path, b"id,x,y\na,1,2\nb,3,4\n")
    found = {name: row.cells for name, row in rows_of(path, ["y", "x"]).items()}
    assert found == {"a": ("2", "1"), "b": ("4", "3")}


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = saved(tmp_path, b"id,x\na,1\n")
    with pytest.raises(UsageError) as caught:
        column_of(path, "y")
    assert str(caught.value) == f"{path}: no column 'y'; it has id, x"


def test_an_id_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column 'patient'"):
        column_of(saved(tmp_path, b"id,x\na,1\n"), "x", "patient")


def test_ids_keep_the_order_of_the_rows(tmp_path: Path) -> None:
    assert ids_of(saved(tmp_path, b"x,id\n1,b\n2,a\n3,010\n4,10\n")) == ("b", "a", "010", "10")


@pytest.mark.parametrize("text", [b"id,x\na,1\na,2\n", b"id,x\n,1\n"])
def test_ids_that_name_no_one_row_are_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(UsageError, match="line [23]: "):
        ids_of(saved(tmp_path, text))


# ---- writing


@pytest.mark.parametrize("cell", ["a\nb", "a\rb", "a\r\nb", 'a"b', "a,b"])
def test_a_cell_that_holds_a_sign_of_the_format_is_quoted(cell: str) -> None:
    told = cell.replace('"', '""')
    assert csv_bytes([[cell, 1]]) == f'"{told}",1\n'.encode()


def test_rows_may_be_made_as_they_are_written() -> None:
    assert csv_bytes((n, n * n) for n in range(3)) == b"0,0\n1,1\n2,4\n"


def test_no_rows_are_no_bytes() -> None:
    assert csv_bytes([]) == b""


def test_what_is_not_utf8_is_an_error_or_escaped() -> None:
    with pytest.raises(UnicodeEncodeError):
        csv_bytes([["\udce9"]])
    assert csv_bytes([["\udce9"]], "backslashreplace") == b"\\udce9\n"


# ---- ids that are known


def test_ids_a_folder_or_an_extension_apart_are_those_that_are_known(tmp_path: Path) -> None:
    path, told = tmp_path / "t.csv", list[str]()
    path.write_text("id,label\ntrain/b.jpg,dog\ntrain/a.jpg,cat\ntrain/more.jpg,cat\n")
    found = column_of(path, "label", known=("a", "b"), tell=told.append)
    assert found == {"b": "dog", "a": "cat", "train/more.jpg": "cat"}
    assert len(told) == 1
    assert f"{path}: its ids are those that are known" in told[0]
    assert rows_of(path, ["label"], None, ("a", "b"), told.append)["a"].line == 3


def test_ids_stay_as_they_are_where_nobody_would_be_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,label\na.jpg,cat\n")
    assert column_of(tmp_path / "t.csv", "label", known=("a",)) == {"a.jpg": "cat"}


# ---- formulas and folds


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum"])
def test_an_id_that_a_spreadsheet_would_run_is_told(name: str) -> None:
    assert formula_like(["a", name, "b"]) == [name]


@pytest.mark.parametrize("name", ["", "a=1", "1-1", " =1", "img@2x"])
def test_an_id_that_no_spreadsheet_would_run_is_not(name: str) -> None:
    assert formula_like([name]) == []


@settings(deadline=None, max_examples=40)
@given(values=st.lists(st.integers(-(10**18) + 1, 10**18 - 1)))
def test_folds_are_the_numbers_that_are_written(values: list[int]) -> None:
    found = as_folds([str(v) for v in values])
    assert found.dtype == np.int64
    assert found.tolist() == values == as_folds(values).tolist()


@pytest.mark.parametrize("value", ["", "x", "1.0", "1e3", "1_0", "٣", None, float("nan"), 10**18])
def test_what_is_no_whole_number_is_no_fold(value: object) -> None:
    with pytest.raises(ValueError, match="a fold is a whole number; found "):
        as_folds(["0", value])


def test_many_odd_folds_are_named_by_the_first_few_cut_short() -> None:
    with pytest.raises(ValueError, match="and 2 more") as caught:
        as_folds(["x" * 1000] * 7)
    assert len(str(caught.value)) < 300
