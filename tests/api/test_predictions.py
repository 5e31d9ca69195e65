"""Predictions that Python is given: files and frames, joined by id."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ensemble as package
from ensemble.api.predictions import hints_of, predictions_of
from ensemble.errors import UsageError
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.table import Oof
from ensemble.records import Task


def oof_of(given: object, task: Task | None = None) -> Oof:
    return predictions_of(given, "oof", ForeignHints(task=task))


def test_a_frame_with_a_column_twice_is_refused() -> None:
    frame = pd.DataFrame([[0.2, 0.3, 0.5]], ["a"], ["cat", "cat", "dog"])
    with pytest.raises(UsageError, match="family 'ant': classes stand there twice: cat"):
        package.vote(predictions={"ant": frame})


def test_frames_are_joined_by_their_index_and_columns() -> None:
    one = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]], ["x", "y"], ["cat", "dog"])
    joined = oof_of({"ant": one, "bee": one.iloc[::-1, ::-1].reset_index(names="id")})
    assert oof_of(joined) is joined
    np.testing.assert_array_equal(joined.families["ant"], joined.families["bee"])


def test_files_and_frames_of_families_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]], pd.Index(["x", "y"], name="id"), ["cat", "dog"])
    one.to_csv("bee.csv")
    assert set(oof_of({"ant": one, "eel": "bee.csv"}).families) == {"ant", "eel"}
    assert set(oof_of(["ant=bee.csv", Path("bee.csv")]).families) == {"ant", "bee"}
    assert set(oof_of("bee.csv").families) == {"bee"}


def test_predictions_that_are_no_numbers_are_refused() -> None:
    frame = pd.DataFrame([["much", 0.1]], ["x"], ["cat", "dog"])
    with pytest.raises(UsageError, match="family 'ant': predictions are numbers"):
        oof_of({"ant": frame})


def test_rows_go_with_a_npy_in_python_too() -> None:
    with pytest.raises(UsageError, match="--rows-of goes with a .npy"):
        hints_of("a.csv", "train.csv", None, None)
    assert hints_of("a.npy", "train.csv", "cat,dog", None) == ForeignHints(
        Path("train.csv"), ("cat", "dog")
    )


def test_predictions_are_of_the_task_that_is_said() -> None:
    made = oof_of({"ant": pd.DataFrame([[0.9, 0.1]], ["x"], ["cat", "dog"])})
    with pytest.raises(UsageError, match="the predictions are classification, not multilabel"):
        oof_of(made, "multilabel")


def test_rows_of_frames_are_never_joined_by_their_position() -> None:
    with pytest.raises(UsageError, match="its index numbers the rows, and no column is called id"):
        oof_of({"ant": pd.DataFrame([[1.0]])})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame(), "oof: expected an Oof, paths, or a mapping of families"),
        ({"ant": [1]}, "family 'ant': expected a path or a DataFrame; found list"),
    ],
)
def test_another_type_is_refused_with_what_was_expected(given: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        oof_of(given)
