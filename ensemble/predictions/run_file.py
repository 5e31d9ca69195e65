"""A run's predictions.parquet: written slice by slice, and what an early exit wrote read back."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError
from ensemble.files.parquet import (
    EVALUATIONS,
    FAMILY,
    PREDICTIONS,
    count_column,
    list_column,
    read_lists,
    text_column,
)
from ensemble.predictions.parsed import choice_of, mapping_of, quarantined_of, texts_of
from ensemble.records import Quarantined, Task


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


@dataclass(frozen=True, slots=True, eq=False)
class RunRows:
    """What a run's predictions.parquet holds: N ids, and what was found out of each.

    `labels` are their classes, empty for a head without one label a row. `probs` is what was fused,
    float64 (N, C); where images ended early it is 0 and 1 of a multilabel head, and None of
    another. `families` have what each column said, (N, K).
    `evaluations` int64 (N,) tell how many each image took, where images ended early.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    task: Task
    labels: tuple[str, ...]
    probs: Pooled | None
    families: Mapping[str, Pooled]
    evaluations: Indices | None
    quarantined: tuple[Quarantined, ...]


def read_run(path: Path) -> RunRows:
    """Read a run's predictions.parquet, all of it.

    Raises:
        UsageError: the file cannot be read, or is none of a run's.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        about = mapping_of(json.loads((table.schema.metadata or {})[PREDICTIONS.encode()]))
        return _rows(table, about)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise UsageError(f"{path}: not the predictions of a run: {error}") from error


def _rows(table: pa.Table, about: Mapping[str, object]) -> RunRows:
    names = set(table.column_names)
    lists = {n: _lists(table, n) for n in table.column_names if n.startswith(FAMILY)}
    fused = next((_lists(table, n) for n in ("probs", "labels") if n in names), None)
    ended = EVALUATIONS in names
    return RunRows(
        ids=tuple(map(str, table.column("id").to_pylist())),
        classes=texts_of(about["classes"]),
        task=choice_of(about["task"], get_args(Task)),
        labels=tuple(map(str, table.column("label").to_pylist())) if "label" in names else (),
        probs=fused,
        families={name.removeprefix(FAMILY): values for name, values in lists.items()},
        evaluations=np.array(table.column(EVALUATIONS).to_pylist(), np.int64) if ended else None,
        quarantined=quarantined_of(about.get("quarantined", [])),
    )


def _lists(table: pa.Table, name: str) -> Pooled:
    """Return a column of lists, float64 (N, K)."""
    width = table.schema.field(name).type.list_size
    return read_lists(table.column(name), width).astype(np.float64)
