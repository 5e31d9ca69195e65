"""Columns go out and come back as they were, without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from ensemble.files.parquet import list_column, read_lists, text_column


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
        "text_column(['a']); c = list_column(np.zeros((2, 3)))\n"
        "read_lists(pa.chunked_array([c]), 3); print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
