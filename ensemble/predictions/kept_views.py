"""Out-of-fold predictions with each view kept apart: a column a family and view, and its cost.

Whoever reads such a file as out-of-fold predictions gets each family's views merged, by the rule
that a run would have merged them by.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeAlias, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError
from ensemble.files.atomic import publish, remove
from ensemble.files.parquet import FOLD, ID, list_column, read_lists, text_column
from ensemble.predictions.foreign import folds_in, ids_in
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
from ensemble.predictions.table import Predictions
from ensemble.records import VOTED, Merge, Quarantined, Task
from ensemble.views.families import merged_as
from ensemble.views.merging import merge_views
from ensemble.views.spelling import read_view, spell

METADATA: Final = "ensemble.views"

Apart: TypeAlias = Mapping[str, Mapping[str, NDArray[np.float32] | Pooled]]
"""By family and the spelling of a view, in the order of the family's views: float (N, C)."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured where the views were scored, in seconds.

    `session` is what it takes to start a member, and `image` what an image costs whatever looks at
    it: read, hashed, decoded and resized. `evaluations` has what one member of a family takes for
    one image under one view, by family and the view's spelling. `provider` computed.
    """

    session: float
    image: float
    evaluations: Mapping[str, Mapping[str, float]]
    provider: str = ""


@dataclass(frozen=True, slots=True)
class KeptViews:
    """Predictions of N rows, each by the members that did not see it, under each view apart.

    `folds` int64 (N,) has the fold of each row, `members` the hash of each fold's member by family.
    `merge` is the rule by which the views of a family become one. `costs` are None where nobody
    measured them.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    columns: Apart
    folds: Indices
    members: Mapping[str, Mapping[int, str]]
    merge: Merge = "mean"
    task: Task = "classification"
    output: str = "label"
    quarantined: tuple[Quarantined, ...] = ()
    costs: Costs | None = None

    def merged(self) -> Predictions:
        """Return the families' predictions, float64 (N, C), as a run merges their views."""
        stacks = {
            family: np.stack([probs.astype(np.float64) for probs in views.values()])
            for family, views in self.columns.items()
        }
        return Predictions(
            ids=self.ids,
            classes=self.classes,
            families={f: merge_views(each, self.merge, self.task) for f, each in stacks.items()},
            folds=self.folds,
            members={f: tuple(h for _, h in sorted(m.items())) for f, m in self.members.items()},
            task=self.task,
            quarantined=self.quarantined,
            output=self.output,
            views={
                family: merged_as(tuple(map(read_view, views)), self.merge)
                for family, views in self.columns.items()
            },
        )

    def save(self, path: Path) -> None:
        """Write the file, and the quarantine beside it, or remove an earlier one's.

        Raises:
            StoreError: the disk refused.
        """
        write(path, self)
        if self.quarantined:
            write_quarantine(quarantine_beside(path), self.quarantined)
        else:
            remove(quarantine_beside(path))


def write(path: Path, kept: KeptViews) -> None:
    """Write `id`, `fold`, a list of float32 for each family and view, and metadata.

    Raises:
        StoreError: the disk refused.
    """
    columns: dict[str, pa.Array] = {ID: text_column(kept.ids), FOLD: pa.array(kept.folds)}
    told = []
    for family, views in kept.columns.items():
        for view, probs in views.items():
            name = f"{family}/{view}"
            columns[name] = list_column(probs)
            told.append({"column": name, "family": family, "view": view})
    about: dict[str, object] = {
        "schema": 1,
        "task": kept.task,
        "head": kept.output,
        "classes": list(kept.classes),
        "merge": kept.merge,
        "columns": told,
        "members": {
            family: {str(fold): sha for fold, sha in held.items()}
            for family, held in kept.members.items()
        },
        "quarantined": [asdict(lost) for lost in kept.quarantined],
        "costs": None if kept.costs is None else asdict(kept.costs),
    }
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about)})
    options = {"compression": "zstd", "write_page_checksum": True}
    publish(path, lambda temporary: pq.write_table(table, temporary, **options))


def is_of_views(table: pa.Table) -> bool:
    """Tell whether `write` wrote a table."""
    return METADATA.encode() in (table.schema.metadata or {})


def read_views(path: Path) -> KeptViews:
    """Read a file of views that were kept apart.

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


def of_table(where: Path, table: pa.Table) -> KeptViews:
    """Take the views out of what `write` wrote.

    Raises:
        LookupError: a column or an entry is missing.
        TypeError: an entry is of another kind.
        ValueError: a cell is not what it should be.
    """
    about = mapping_of(json.loads(table.schema.metadata[METADATA.encode()]))
    classes, folds = texts_of(about["classes"]), folds_in(where, table)
    columns: dict[str, dict[str, Pooled]] = {}
    for told in map(mapping_of, list_of(about["columns"])):
        lists = read_lists(table.column(text_of(told["column"])), len(classes))
        views = columns.setdefault(text_of(told["family"]), {})
        views[spell(read_view(text_of(told["view"])))] = lists.astype(np.float64)
    if folds is None or not columns:
        raise ValueError("it has no folds, or no columns")
    return KeptViews(
        ids=ids_in(where, table)[1],
        classes=classes,
        columns=columns,
        folds=folds,
        members={
            family: {int(fold): text_of(sha) for fold, sha in mapping_of(held).items()}
            for family, held in mapping_of(about["members"]).items()
        },
        merge=choice_of(about["merge"], cast(tuple[Merge, ...], get_args(Merge))),
        task=choice_of(about["task"], VOTED),
        output=text_of(about["head"]),
        quarantined=quarantined_of(about["quarantined"]),
        costs=or_none(_costs, about["costs"]),
    )


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
