"""Columns go out and come back as they were, without pandas."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.files.parquet import count_column, list_column, read_lists, text_column


@pytest.mark.parametrize("texts", [[], ["a", "", "\u00e9t\u00e9", "\U0001f600"]])
def test_texts_come_back(texts: list[str]) -> None:
    column = text_column(texts)
    column.validate(full=True)
    assert column.to_pylist() == texts


@pytest.mark.parametrize("chunks", [(0,), (3,), (2, 0, 3)])
def test_lists_come_back(chunks: tuple[int, ...]) -> None:
    values = np.arange(sum(chunks) * 4, dtype=np.float64).reshape(-1, 4) / 7
    parts = np.split(values, np.cumsum(chunks)[:-1])
    column = pa.chunked_array([list_column(part) for part in parts])
    np.testing.assert_array_equal(read_lists(column, 4), values.astype(np.float32))


def test_a_slice_of_lists_is_that_slice() -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    column = pa.chunked_array([list_column(values)]).slice(1, 2)
    np.testing.assert_array_equal(read_lists(column, 3), values[1:3])


def test_no_pandas_is_imported() -> None:
    script = (
        "import sys, numpy as np, pyarrow as pa\n"
        "from ensemble.files.parquet import *\n"
        "c = list_column(np.zeros((2, 3)))\n"
        "assert places(text_column(['b', 'a']), text_column(['a'])).tolist() == [-1, 0]\n"
        "read_lists(pa.chunked_array([c]), 3); print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def on_disk(table: pa.Table, folder: Path) -> pa.Table:
    """The table as a file gives it back."""
    pq.write_table(table, folder / "t.parquet")
    with pq.ParquetFile(folder / "t.parquet") as file:
        return file.read()


@settings(deadline=None, max_examples=40)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=8))
def test_a_text_column_is_the_one_that_pyarrow_makes(texts: list[str]) -> None:
    column = text_column(texts)
    column.validate(full=True)
    assert column.equals(pa.array(texts, pa.string()))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (4, 3)])
def test_a_list_column_is_the_one_that_pyarrow_makes(
    dtype: type[np.floating], shape: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).random(shape).astype(dtype)
    kind = pa.list_(pa.from_numpy_dtype(dtype), shape[1])
    column = list_column(values, dtype)
    column.validate(full=True)
    assert column.equals(pa.array(list(values), kind))


@pytest.mark.parametrize("counts", [[], [0], [3, 2**31 - 1, -1]])
def test_counts_are_the_column_that_pyarrow_makes(counts: list[int]) -> None:
    column = count_column(np.array(counts, np.int64))
    column.validate(full=True)
    assert column.equals(pa.array(counts, pa.int32()))


def test_columns_come_back_from_a_file(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    table = on_disk(pa.table({"id": text_column(["é", "", "NA", "a\0b", "x"]),
                              "p": list_column(values)}), tmp_path)  # fmt: skip
    assert table.column("id").to_pylist() == ["é", "", "NA", "a\0b", "x"]
    np.testing.assert_array_equal(read_lists(table.column("p"), 3), values)


def test_floats_that_are_no_numbers_come_back_to_the_bit(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf], [-np.inf, -0.0]], np.float64)
    table = on_disk(pa.table({"p": list_column(values, np.float64)}), tmp_path)
    assert read_lists(table.column("p"), 2).tobytes() == values.tobytes()


def test_values_may_lie_in_any_order_in_memory() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    for view in (values.T, values[:, ::-1], values[::2], np.asfortranarray(values)):
        column = pa.chunked_array([list_column(view)])
        np.testing.assert_array_equal(read_lists(column, view.shape[1]), view)


def test_a_column_keeps_its_own_precision() -> None:
    values = np.array([[0.1, 0.2]])
    for dtype in (np.float16, np.float32, np.float64):
        found = read_lists(pa.chunked_array([list_column(values, dtype)]), 2)
        assert found.dtype == dtype


@pytest.mark.parametrize("rows", [[[1.0, None]], [None, [1.0, 2.0]], [[None, None]]])
def test_a_row_or_number_that_is_null_is_refused(rows: list[list[float | None] | None]) -> None:
    column = pa.chunked_array([pa.array(rows, pa.list_(pa.float32(), 2))])
    with pytest.raises(ValueError, match="a row, or a number in one, is null"):
        read_lists(column, 2)


def test_a_slice_of_many_chunks_is_that_slice() -> None:
    values = np.arange(30, dtype=np.float32).reshape(10, 3)
    column = pa.chunked_array([list_column(values[:4]), list_column(values[4:])])
    for start in range(10):
        found = read_lists(column.slice(start, 3), 3)
        np.testing.assert_array_equal(found, values[start : start + 3])
