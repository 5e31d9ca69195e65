"""The truth of each task is joined by id, and what is none is named by line and column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys import ensemble

from ensemble.api.weights import tune_weights
from ensemble.errors import UsageError
from ensemble.evaluation.labels import given_truth, read_truth
from ensemble.predictions.table import Oof
from ensemble.records import Task

IDS = ("a", "b")


def oof(task: Task, *classes: str) -> Oof:
    return Oof(IDS, classes, {"ant": np.full((2, len(classes)), 0.5)}, task=task)


def read(tmp_path: Path, text: str, like: Oof, column: str = "label") -> list[object]:
    (tmp_path / "t.csv").write_text(text)
    return read_truth(tmp_path / "t.csv", like, column).tolist()


def test_labels_are_joined_by_id_and_class(tmp_path: Path) -> None:
    text = "id,fog,rain,fold\nb,1,0,0\na,0,1,1\n"
    assert read(tmp_path, text, oof("multilabel", "rain", "fog")) == [[1, 0], [0, 1]]


def test_a_single_target_is_its_column_or_the_label_column(tmp_path: Path) -> None:
    like = oof("regression", "age")
    assert read(tmp_path, "id,age\nb,2.5\na,-1\n", like) == [[-1], [2.5]]
    assert read(tmp_path, "id,years\nb,2.5\na,-1\n", like, "years") == [[-1], [2.5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,rain\na,0\nb,1\n", "no column 'fog'"),
        ("id,rain,fog,sun\na,0,1,1\nb,1,0,1\n", "no class for the columns sun"),
        ("id,rain,fog\na,0,1\nb,1,0.5\n", "line 3, column 'fog': expected 0 or 1, found '0.5'"),
        ("id,rain,fog\na,0,1\nb,1,\n", "line 3, column 'fog': expected 0 or 1"),
        ("id,rain,fog\na,0,1\n", "no label for b"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text, oof("multilabel", "rain", "fog"))


@pytest.mark.parametrize("cell", ["nan", "inf", "much"])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(UsageError, match="line 2, column 'age': expected a finite number"):
        read(tmp_path, f"id,age\na,{cell}\nb,1\n", oof("regression", "age"))


def test_python_gives_rows_by_id() -> None:
    found = given_truth({"b": (0, 1), "a": (1, 0)}, oof("multilabel", "rain", "fog"))
    assert found.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(UsageError, match="1 columns; multilabel needs one for each"):
        given_truth({"b": (0,), "a": (1,)}, oof("multilabel", "rain", "fog"))


def test_frames_of_labels_tune_in_python() -> None:
    rng = np.random.default_rng(0)
    ids = [f"r{n}" for n in range(300)]
    y = rng.integers(0, 2, (300, 2))
    frames = {
        name: pd.DataFrame(1 / (1 + np.exp(-(3 * y - 1.5 + rng.normal(0, s, y.shape)))), ids)
        for name, s in (("ant", 1.0), ("bee", 2.0))
    }
    labels = pd.DataFrame(y, ids).iloc[::-1][[1, 0]]
    folds = pd.Series(np.arange(300) % 3, ids)
    found = tune_weights(frames, labels, metric="f1", folds=folds, task="multilabel")
    assert found.task == "multilabel"
    assert set(found.evidence) >= {"gain_ci95", "loss_without", "error_correlations"}
    with pytest.raises(UsageError, match="labels have the columns 0"):
        tune_weights(frames, labels[[0]], metric="f1", folds=folds, task="multilabel")


def test_the_command_tunes_files_of_a_regression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.normal(40, 10, 200)
    frame = pd.DataFrame(
        {"id": [f"r{n}" for n in range(200)], "age": y, "fold": np.arange(200) % 4}
    )
    frame.to_csv("train.csv", index=False)
    for name, spread in (("ant", 2.0), ("bee", 9.0)):
        frame.assign(age=y + rng.normal(0, spread, 200)).to_csv(f"{name}.csv", index=False)
    order = ("tune-weights", "--oof", "ant.csv", "bee.csv", "--labels", "train.csv")
    told = ("--task", "regression", "--metric", "mae")
    assert ensemble(*order, *told) == 0
    assert "verdict: gain" in capsys.readouterr().out
    assert ensemble(*order, *told, "--polish", "always") == 2
    assert ensemble(*order, *told, "--pool", "log-linear") == 2
    assert ensemble(*order, "--task", "multilabel", "--metric", "f1") == 2
    assert "Apply the sigmoid first" in capsys.readouterr().err
