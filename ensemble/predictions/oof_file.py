"""The OOF Parquet and the quarantine beside it: written, and read back as it was written."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Indices, Pooled, Probs
from ensemble.errors import UsageError
from ensemble.files.atomic import publish, publish_bytes, remove
from ensemble.files.csv_tables import csv_bytes
from ensemble.files.parquet import FOLD, ID, list_column, read_lists, text_column
from ensemble.predictions.foreign import folds_in, ids_in
from ensemble.predictions.parsed import (
    check_schema,
    mapping_of,
    or_none,
    ordinal_of,
    quarantined_of,
    text_of,
    texts_of,
)
from ensemble.records import Ordinal, Quarantined, Task

METADATA: Final = "ensemble.oof"

_SCHEMA: Final = 1

_USUAL: Final = "label"
"""What a head is called of which the file says nothing."""

_DAMAGED: Final = (
    OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, struct.error,
    pa.ArrowException,
)  # fmt: skip


class Saved(Protocol):
    """What is written of predictions: N rows, C classes, float64 (N, C) a family."""

    @property
    def ids(self) -> tuple[str, ...]:
        """N ids."""

    @property
    def classes(self) -> tuple[str, ...]:
        """C names."""

    @property
    def families(self) -> Mapping[str, Probs | Pooled]:
        """By name, float64 (N, C)."""

    @property
    def folds(self) -> Indices | None:
        """The fold of each row, int64 (N,)."""

    @property
    def members(self) -> Mapping[str, tuple[str, ...]]:
        """The hashes of each family's members."""

    @property
    def views(self) -> Mapping[str, str]:
        """The views of each family and their merge, where known."""

    @property
    def task(self) -> Task:
        """What is predicted."""

    @property
    def output(self) -> str:
        """The name of the head."""

    @property
    def ordinal(self) -> Ordinal | None:
        """How its columns are thresholds of ordered classes; None where they are none."""

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """The images without a row."""


@dataclass(frozen=True, slots=True)
class OofFile:
    """What an OOF Parquet holds; see `Saved`."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    families: Mapping[str, Probs | Pooled]
    folds: Indices | None = None
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task: Task = "classification"
    quarantined: tuple[Quarantined, ...] = ()
    views: Mapping[str, str] = field(default_factory=dict)
    output: str = _USUAL
    ordinal: Ordinal | None = None


def quarantine_beside(path: Path) -> Path:
    """Return where the images without a row are listed: oof.quarantine.csv beside oof.parquet."""
    return path.with_suffix(".quarantine.csv")


def save(path: Path, oof: Saved) -> None:
    """Write the OOF Parquet, and the quarantine beside it, or remove an earlier one's.

    Raises:
        UsageError: a family is called as a column of the file that is none.
        StoreError: the disk refused.
    """
    write(path, oof)
    if oof.quarantined:
        write_quarantine(quarantine_beside(path), oof.quarantined)
    else:
        remove(quarantine_beside(path))


def write(path: Path, oof: Saved) -> None:
    """Write the OOF Parquet alone: `id`, `fold`, a list of float32 a family, and metadata.

    Raises:
        UsageError: a family is called as a column of the file that is none.
        StoreError: the disk refused.
    """
    if taken := sorted({ID, FOLD} & set(oof.families)):
        raise UsageError(
            f"{path}: a family is called {taken[0]!r}, as the column of the file is; name it "
            f"otherwise (--family at the export, or NAME=FILE)"
        )
    columns: dict[str, pa.Array] = {ID: text_column(oof.ids)}
    if oof.folds is not None:
        columns[FOLD] = pa.array(oof.folds)
    columns |= {name: list_column(probs) for name, probs in oof.families.items()}
    about: dict[str, object] = {
        "schema": _SCHEMA,
        "task": oof.task,
        "classes": list(oof.classes),
        "members": {name: list(hashes) for name, hashes in oof.members.items()},
        "quarantined": [asdict(lost) for lost in oof.quarantined],
    }
    if oof.views:
        about["views"] = dict(oof.views)
    if oof.output != _USUAL:
        about["head"] = oof.output
    if oof.ordinal:
        about["ordinal"] = oof.ordinal
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about)})
    options = {"compression": "zstd", "write_page_checksum": True}
    publish(path, lambda temporary: pq.write_table(table, temporary, **options))


def write_quarantine(path: Path, quarantined: Sequence[Quarantined]) -> None:
    """Write quarantine.csv: a row for each image without a prediction."""
    header = [f.name for f in fields(Quarantined)]
    rows = [list(asdict(q).values()) for q in quarantined]
    publish_bytes(path, csv_bytes([header, *rows], "backslashreplace"))


def read(path: Path) -> OofFile:
    """Read an OOF Parquet; what it says is not checked here.

    Raises:
        UsageError: the file cannot be read, or is another than `write` writes.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        about = json.loads((table.schema.metadata or {}).get(METADATA.encode(), b"{}"))
        if about:
            return of_table(path, table, mapping_of(about))
    except _DAMAGED as error:
        raise UsageError(f"{path}: cannot read the predictions: {error}") from error
    raise UsageError(
        f"{path}: not what `Oof.save` or `ensemble oof` wrote; give tune_weights and vote the path "
        f"of such a file"
    )


def of_table(where: object, table: pa.Table, about: Mapping[str, object]) -> OofFile:
    """Take the families out of what `write` wrote; `about` is its metadata.

    Raises:
        LookupError: a column or an entry is missing.
        TypeError: an entry is of another kind.
        ValueError: a cell is not what it should be; or UsageError, another schema.
    """
    check_schema(where, about, _SCHEMA)
    classes = texts_of(about["classes"])
    members = mapping_of(about.get("members", {}))
    lists = [f.name for f in table.schema if pa.types.is_fixed_size_list(f.type)]
    return OofFile(
        ids=ids_in(where, table)[1],
        classes=classes,
        families={c: read_lists(table.column(c), len(classes)).astype(np.float64) for c in lists},
        folds=folds_in(where, table),
        members={name: texts_of(hashes) for name, hashes in members.items()},
        task=cast(Task, about.get("task", "classification")),
        quarantined=quarantined_of(about.get("quarantined", [])),
        views={n: text_of(v) for n, v in mapping_of(about.get("views", {})).items()},
        output=text_of(about.get("head", _USUAL)),
        ordinal=or_none(ordinal_of, about.get("ordinal")),
    )
