"""What a report is of, told by the file."""

import json
from enum import Enum
from pathlib import Path

from ensemble.errors import UsageError, few
from ensemble.files.csv_tables import is_csv, read_table
from ensemble.predictions.run_record import RUN
from ensemble.submission.staging import SUBMISSION

_SIDES = {"left", "top", "right", "bottom"}


class Kind(Enum):
    """What a file is."""

    RUN = "run"
    SUBMISSION = "submission"
    PREDICTIONS = "predictions"
    WEIGHTS = "weights"
    POLICY = "policy"
    CROPS = "crops"


def kind_of(path: Path) -> tuple[Kind, Path]:
    """Tell what a path is; of a run's folder, run.json or submission.csv the folder is returned.

    Raises:
        UsageError: there is no such file, or none of which a report is made.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise UsageError(
            f"{path}: no such file. Name the folder of a run, a submission, predictions, a "
            f"weights.json, a policy.json or a table of crops"
        )
    beside = path.parent / RUN
    if path.name in (RUN, SUBMISSION) and beside.is_file():
        return Kind.RUN, path.parent
    if path.suffix.lower() == ".json":
        return _of_json(path), path
    if not is_csv(path):
        return Kind.PREDICTIONS, path
    return (Kind.CROPS if set(read_table(path)[0]) >= _SIDES else Kind.SUBMISSION), path


def _of_folder(path: Path) -> tuple[Kind, Path]:
    if (path / RUN).is_file():
        return Kind.RUN, path
    if (path / SUBMISSION).is_file():
        return Kind.SUBMISSION, path / SUBMISSION
    raise UsageError(f"{path}: not the folder of a run (no {RUN}): name one, or a file")


def _of_json(path: Path) -> Kind:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    keys = record.keys() if isinstance(record, dict) else ()
    if "frontier" in keys:
        return Kind.POLICY
    if "weights" in keys:
        return Kind.WEIGHTS
    raise UsageError(f"{path}: expected a weights.json or a policy.json; it has {few(list(keys))}")
