"""What the folder of a run tells of the submission in it: its ids, their column, the task."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.files.parquet import PREDICTIONS
from ensemble.files.text_table import TableSource
from ensemble.predictions.parsed import mapping_of, or_none, text_of
from ensemble.predictions.run_record import DAMAGED, RUN, read_record
from ensemble.records import Task


@dataclass(frozen=True, slots=True)
class RunTold:
    """What a run tells of its submission: what `--id-col` said, the ids, the task; None, () else.

    The ids are those that have a prediction, as the images have them: the submission may have
    others, by `--fill` or by its sample.
    """

    id_column: str | None = None
    ids: tuple[str, ...] = ()
    task: Task | None = None


NOTHING: Final = RunTold()


def told_by_run(submission: TableSource) -> RunTold:
    """Return what the run tells in whose folder a submission lies; nothing where it is no run's.

    A run that is damaged tells nothing either: its submission is then read as any other file.
    """
    if not isinstance(submission, Path) or submission.name != "submission.csv":
        return NOTHING
    folder = submission.parent
    if not (folder / RUN).is_file():
        return NOTHING
    try:
        said = or_none(text_of, read_record(folder).settings.get("id_col"))
        with pq.ParquetFile(folder / "predictions.parquet") as file:
            ids = tuple(map(str, file.read(["id"]).column("id").to_pylist()))
            metadata = file.schema_arrow.metadata or {}
        task = mapping_of(json.loads(metadata[PREDICTIONS.encode()])).get("task")
    except (*DAMAGED, pa.ArrowException):
        return NOTHING
    return RunTold(said, ids, cast(Task, task) if task in get_args(Task) else None)
