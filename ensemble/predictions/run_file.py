"""A run's predictions.parquet: written slice by slice, and what an early exit wrote read back."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError
from ensemble.files.parquet import (
    EVALUATIONS,
    PREDICTIONS,
    count_column,
    list_column,
    read_lists,
    text_column,
)


class RunFile:
    """Writes predictions.parquet: `id`, `label` where there is one, and float32 lists.

    A slice is a row group; the names of the columns are those of the first.

    Args:
        sink: Where it is written to.
        metadata: Written as JSON under the key `PREDICTIONS`.
    """

    def __init__(self, sink: BinaryIO, metadata: Mapping[str, object]) -> None:
        self._sink, self._about = sink, {PREDICTIONS: json.dumps(metadata)}
        self._writer: pq.ParquetWriter | None = None

    def add(
        self,
        ids: Sequence[str],
        labels: Sequence[str],
        probs: Mapping[str, Pooled],
        evaluations: Indices | None = None,
    ) -> None:
        """Write the rows of a slice.

        Args:
            ids: The ids, N of them.
            labels: The class of each, or nothing where the head has no single class.
            probs: Float (N, C) for each column: the fused "probs", and one a family.
            evaluations: int64 (N,): the column `n_evals`, where images ended early.

        Raises:
            StoreError: the disk refused.
        """
        columns: dict[str, pa.Array] = {"id": text_column(ids)}
        if labels:
            columns["label"] = text_column(labels)
        columns |= {name: list_column(values) for name, values in probs.items()}
        if evaluations is not None:
            columns[EVALUATIONS] = count_column(evaluations)
        table = pa.table(columns).replace_schema_metadata(self._about)
        if self._writer is None:
            plain = ["label"] if labels else False  # of numbers a dictionary is a waste
            self._writer = pq.ParquetWriter(self._sink, table.schema, use_dictionary=plain)
        self._writer.write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Write the end of the file; of one that failed nobody needs it, so it may fail again."""
        if self._writer is None:
            return
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            self._writer.close()


def read_labels(path: Path, classes: Sequence[str]) -> tuple[list[str], Indices, Indices]:
    """Read what an early exit wrote: ids, labels int64 (N, D), and evaluations int64 (N,).

    Raises:
        UsageError: the file cannot be read, or has other columns or classes.
    """
    try:
        with pq.ParquetFile(path) as file:  # read_table would import pandas
            table = file.read()
        names = table.column_names
        if not table.num_rows:
            return [], np.empty((0, 1), np.int64), np.empty(0, np.int64)
        if "label" in names:
            number = {name: row for row, name in enumerate(classes)}
            texts = table.column("label").to_pylist()
            labels = np.array([[number[text]] for text in texts], np.int64).reshape(-1, 1)
        else:
            labels = read_lists(table.column("labels"), len(classes)).astype(np.int64)
        evaluations = np.array(table.column(EVALUATIONS).to_pylist(), np.int64)
        return table.column("id").to_pylist(), labels, evaluations
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise UsageError(f"{path}: not what an early exit wrote: {error}") from error
