"""Parquet columns from texts and arrays.

pyarrow's own conversions import pandas to see what they were given, which costs a run half a
second; here the buffers are handed over as they are.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

PREDICTIONS: Final = "ensemble"
"""Where a run's predictions.parquet says what it holds."""

FAMILY: Final = "family:"
"""What the column of a family begins with there."""

EVALUATIONS: Final = "n_evals"
"""The column there that tells how many evaluations an image had, where images ended early."""

Floats: TypeAlias = NDArray[np.floating]
"""float16, float32 or float64 (N, C)."""

ID: Final = "id"
FOLD: Final = "fold"

_NOWHERE: Final = pa.Array.from_buffers(
    pa.int32(), 1, [None, pa.py_buffer(np.array([-1], np.int32))]
)[0]
"""The number -1: `pa.scalar` would import pandas."""


def text_column(texts: Sequence[str]) -> pa.StringArray:
    """Return a string column."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))
    )


def places(names: pa.Array, among: pa.Array) -> NDArray[np.int64]:
    """Return where each of N texts stands among others, int64 (N,); -1 where it does not."""
    found = pc.coalesce(pc.index_in(names, among), _NOWHERE)
    return np.asarray(
        np.frombuffer(found.buffers()[1], np.int32, len(found), 4 * found.offset), np.int64
    )


def list_column(values: Floats, dtype: type[np.floating] = np.float32) -> pa.FixedSizeListArray:
    """Return a column of fixed-size lists of `dtype` from floats (N, C)."""
    flat = np.ascontiguousarray(values, dtype).reshape(-1)
    buffers = [None, pa.py_buffer(flat)]
    return pa.FixedSizeListArray.from_arrays(
        pa.Array.from_buffers(pa.from_numpy_dtype(flat.dtype), len(flat), buffers), values.shape[1]
    )


def count_column(counts: NDArray[np.int64]) -> pa.Int32Array:
    """Return a column of int32 from counts int64 (N,)."""
    flat = np.ascontiguousarray(counts, np.int32)
    return pa.Array.from_buffers(pa.int32(), len(flat), [None, pa.py_buffer(flat)])


def number_column(column: pa.ChunkedArray) -> Floats:
    """Return a column of numbers (N,) of its own dtype, or of float64 with NaN for what is null."""
    flat = column.combine_chunks()
    if flat.null_count:
        flat = flat.cast(pa.float64(), safe=False).fill_null(np.nan)
    dtype = np.dtype(flat.type.to_pandas_dtype())
    _, values = flat.buffers()
    return np.frombuffer(values or b"", dtype, len(flat), flat.offset * dtype.itemsize)


def read_lists(column: pa.ChunkedArray, width: int) -> Floats:
    """Return a column of fixed-size lists of floats as an (N, width) of its own dtype.

    Raises:
        ValueError: a row, or a number in one, is null.
    """
    flat = column.combine_chunks().flatten()
    if column.null_count or flat.null_count:
        raise ValueError("a row, or a number in one, is null")
    dtype = np.dtype(flat.type.to_pandas_dtype())
    _, values = flat.buffers()
    rows = np.frombuffer(values, dtype, len(flat), flat.offset * dtype.itemsize)
    return rows.reshape(-1, width)
