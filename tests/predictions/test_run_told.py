"""A run tells of its submission its ids, their column and its task; another folder nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from tables import write_predictions

from ensemble.predictions.run_record import RunRecord, to_json
from ensemble.predictions.run_told import NOTHING, RunTold, told_by_run

RECORD = RunRecord({"id_col": "image"}, "label", ("value",), (), {}, {}, {})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text(json.dumps(to_json(RECORD)))
    told = {"task": "regression", "classes": ["value"]}
    write_predictions(
        tmp_path / "predictions.parquet", ["b", "a"], [], {"probs": np.array([[1.0], [2]])}, told
    )
    return tmp_path


def test_a_run_tells_ids_column_and_task(run: Path) -> None:
    found = told_by_run(run / "submission.csv")
    assert found == RunTold("image", ("b", "a"), "regression")


def test_another_file_in_the_folder_is_not_the_runs(run: Path) -> None:
    assert told_by_run(run / "other.csv") == NOTHING


@pytest.mark.parametrize("damaged", ["run.json", "predictions.parquet"])
def test_a_damaged_run_tells_nothing(run: Path, damaged: str) -> None:
    (run / damaged).write_text("no")
    assert told_by_run(run / "submission.csv") == NOTHING


def test_a_submission_without_a_run_is_told_nothing_of(tmp_path: Path) -> None:
    assert told_by_run(tmp_path / "submission.csv") == NOTHING
