"""The Parquet of views that were kept apart: a column a family and view, of each head.

Whoever else reads such a file as out-of-fold predictions gets each family's views merged, by the
rule that a run would have merged them by.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Pooled
from ensemble.errors import UsageError
from ensemble.files.atomic import publish, remove
from ensemble.files.parquet import FOLD, ID, list_column, read_lists, text_column
from ensemble.predictions.foreign import folds_in, ids_in
from ensemble.predictions.kept_views import Costs, KeptViews
from ensemble.predictions.oof_file import quarantine_beside, write_quarantine
from ensemble.predictions.parsed import (
    choice_of,
    list_of,
    mapping_of,
    or_none,
    quarantined_of,
    real_of,
    text_of,
    texts_of,
)
from ensemble.records import VOTED, Merge, Ordinal
from ensemble.views.spelling import read_view, spell

METADATA: Final = "ensemble.views"
_SCHEMA: Final = 1


def save(path: Path, parts: Sequence[KeptViews]) -> None:
    """Write views that were kept apart, and the quarantine beside them, or remove an earlier one's.

    There are `id`, `fold`, a list of float32 for each family and view, and metadata. The parts are
    of different heads, of the same ids in the same order.

    Raises:
        StoreError: the disk refused.
    """
    first = parts[0]
    columns: dict[str, pa.Array] = {ID: text_column(first.ids), FOLD: pa.array(first.folds)}
    told = []
    for part in parts:
        head = f"/{part.output}" if len(parts) > 1 else ""
        named = {
            f"{family}{head}/{view}": (family, view, probs)
            for family, views in part.columns.items()
            for view, probs in views.items()
        }
        columns |= {name: list_column(probs) for name, (_, _, probs) in named.items()}
        own = [{"column": n, "family": f, "view": v} for n, (f, v, _) in named.items()]
        told.append({**_about(part), "columns": own})
    about = {
        "schema": _SCHEMA,
        "parts": told,
        "merge": first.merge,
        "quarantined": [asdict(lost) for lost in first.quarantined],
        "costs": None if first.costs is None else asdict(first.costs),
    }
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about)})
    options = {"compression": "zstd", "write_page_checksum": True}
    publish(path, lambda temporary: pq.write_table(table, temporary, **options))
    if first.quarantined:
        write_quarantine(quarantine_beside(path), first.quarantined)
    else:
        remove(quarantine_beside(path))


def _about(part: KeptViews) -> dict[str, object]:
    return {
        "task": part.task,
        "head": part.output,
        "classes": list(part.classes),
        "ordinal": part.ordinal,
        "members": {
            family: {str(fold): sha for fold, sha in held.items()}
            for family, held in part.members.items()
        },
    }


def is_of_views(table: pa.Table) -> bool:
    """Tell whether `save` wrote a table."""
    return METADATA.encode() in (table.schema.metadata or {})


def is_of_tasks(table: pa.Table) -> bool:
    """Tell whether `save` wrote a table of several heads."""
    return is_of_views(table) and len(_parts(table)) > 1


def read_views(path: Path) -> list[KeptViews]:
    """Read a file of views that were kept apart, a part for each head.

    Raises:
        UsageError: it cannot be read, or is another file.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        if is_of_views(table):
            return of_table(path, table)
    except (OSError, LookupError, ValueError, TypeError, pa.ArrowException) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: cannot read the predictions: {error}") from error
    raise UsageError(
        f"{path}: its views are not kept apart; make it with `ensemble oof --keep-views`"
    )


def of_table(where: Path, table: pa.Table) -> list[KeptViews]:
    """Take the parts out of what `save` wrote.

    Raises:
        LookupError: a column or an entry is missing.
        TypeError: an entry is of another kind.
        ValueError: a cell is not what it should be.
    """
    about, parts = _told(table), _parts(table)
    folds, ids = folds_in(where, table), ids_in(where, table)[1]
    if folds is None or not all(part["columns"] for part in parts):
        raise ValueError("it has no folds, or no columns")
    return [
        KeptViews(
            ids=ids,
            classes=texts_of(told["classes"]),
            columns=_columns(table, told),
            folds=folds,
            members={
                family: {int(fold): text_of(sha) for fold, sha in mapping_of(held).items()}
                for family, held in mapping_of(told["members"]).items()
            },
            merge=choice_of(about["merge"], cast(tuple[Merge, ...], get_args(Merge))),
            task=choice_of(told["task"], VOTED),
            output=text_of(told["head"]),
            quarantined=quarantined_of(about["quarantined"]),
            costs=or_none(_costs, about["costs"]),
            ordinal=or_none(_ordinal, told["ordinal"]),
        )
        for told in parts
    ]


def _told(table: pa.Table) -> Mapping[str, object]:
    return mapping_of(json.loads(table.schema.metadata[METADATA.encode()]))


def _parts(table: pa.Table) -> list[Mapping[str, object]]:
    return list(map(mapping_of, list_of(_told(table)["parts"])))


def _columns(table: pa.Table, part: Mapping[str, object]) -> dict[str, dict[str, Pooled]]:
    classes = len(texts_of(part["classes"]))
    columns: dict[str, dict[str, Pooled]] = {}
    for told in map(mapping_of, list_of(part["columns"])):
        lists = read_lists(table.column(text_of(told["column"])), classes)
        views = columns.setdefault(text_of(told["family"]), {})
        views[spell(read_view(text_of(told["view"])))] = lists.astype(np.float64)
    return columns


def _ordinal(told: object) -> Ordinal:
    return choice_of(told, get_args(Ordinal))


def _costs(told: object) -> Costs:
    found = mapping_of(told)
    return Costs(
        real_of(found["session"]),
        real_of(found["image"]),
        {
            family: {view: real_of(seconds) for view, seconds in mapping_of(views).items()}
            for family, views in mapping_of(found["evaluations"]).items()
        },
        text_of(found["provider"]),
    )
