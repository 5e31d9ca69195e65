"""The OOF Parquet of several heads: written, and read back a part for each head."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.errors import UsageError
from ensemble.files.atomic import publish, remove
from ensemble.files.parquet import FOLD, ID, list_column, read_lists, text_column
from ensemble.predictions.foreign import folds_in, ids_in
from ensemble.predictions.oof_file import quarantine_beside, write_quarantine
from ensemble.predictions.parsed import (
    check_schema,
    list_of,
    mapping_of,
    or_none,
    ordinal_of,
    quarantined_of,
    text_of,
    texts_of,
)
from ensemble.predictions.table import Predictions, checked
from ensemble.records import Quarantined, Task

METADATA: Final = "ensemble.tasks"

_SCHEMA: Final = 1


def save(path: Path, parts: Sequence[Predictions], quarantined: Sequence[Quarantined]) -> None:
    """Write `id`, `fold` and a list of float32 for each family and head, `family/head`.

    The parts have the same ids in the same order. The quarantine goes beside it, as beside the OOF
    Parquet of one head.

    Raises:
        UsageError: two columns of one name.
        StoreError: the disk refused.
    """
    told = [_record(part) for part in parts]
    about = {"schema": _SCHEMA, "parts": told, "quarantined": [asdict(q) for q in quarantined]}
    columns = _columns(path, parts)
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about)})
    options = {"compression": "zstd", "write_page_checksum": True}
    publish(path, lambda temporary: pq.write_table(table, temporary, **options))
    if quarantined:
        write_quarantine(quarantine_beside(path), quarantined)
    else:
        remove(quarantine_beside(path))


def _columns(path: Path, parts: Sequence[Predictions]) -> dict[str, pa.Array]:
    """Return the columns of all parts by name, no two of which may be called alike."""
    columns: dict[str, pa.Array] = {ID: text_column(parts[0].ids)}
    folds = next((part.folds for part in parts if part.folds is not None), None)
    if folds is not None:
        columns[FOLD] = pa.array(folds)
    for part in parts:
        named = _named(part)
        if taken := sorted(set(named.values()) & set(columns)):
            raise UsageError(f"{path}: two columns would be called {taken[0]!r}")
        columns |= {named[family]: list_column(part.families[family]) for family in named}
    return columns


def _named(part: Predictions) -> dict[str, str]:
    """Return the column of each family of a part."""
    return {family: f"{family}/{part.output}" for family in part.families}


def _record(part: Predictions) -> dict[str, object]:
    """Return what the file says of a part beside its numbers."""
    return {
        "head": part.output,
        "task": part.task,
        "classes": list(part.classes),
        "families": _named(part),
        "members": {name: list(hashes) for name, hashes in part.members.items()},
        "views": dict(part.views),
        **({"ordinal": part.ordinal} if part.ordinal else {}),
    }


def is_of_tasks(table: pa.Table) -> bool:
    """Tell whether `save` wrote a table."""
    return METADATA.encode() in (table.schema.metadata or {})


def of_table(where: Path, table: pa.Table) -> list[Predictions]:
    """Take the parts out of what `save` wrote.

    Raises:
        LookupError: a column or an entry is missing.
        TypeError: an entry is of another kind.
        ValueError: a cell is not what it should be; or UsageError, as `table.checked`,
            or of another schema.
    """
    about = mapping_of(json.loads(table.schema.metadata[METADATA.encode()]))
    check_schema(where, about, _SCHEMA)
    quarantined = quarantined_of(about.get("quarantined", []))
    ids, folds = ids_in(where, table)[1], folds_in(where, table)
    found = []
    for told in map(mapping_of, list_of(about["parts"])):
        classes = texts_of(told["classes"])
        part = Predictions(
            ids=ids,
            classes=classes,
            families={
                name: read_lists(table.column(text_of(column)), len(classes)).astype(np.float64)
                for name, column in mapping_of(told["families"]).items()
            },
            folds=folds,
            members=_hashes(told.get("members", {})),
            task=cast(Task, told["task"]),
            quarantined=quarantined,
            output=text_of(told["head"]),
            views={n: text_of(v) for n, v in mapping_of(told.get("views", {})).items()},
            ordinal=or_none(ordinal_of, told.get("ordinal")),
        )
        found.append(checked(f"{where}, head {part.output}", part))
    return found


def _hashes(told: object) -> Mapping[str, tuple[str, ...]]:
    return {name: texts_of(hashes) for name, hashes in mapping_of(told).items()}
