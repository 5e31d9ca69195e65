"""The truth of each task is joined by id, and what is none is named by line and column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import CLASSES, ensemble

from ensemble.api.tables import table_of
from ensemble.api.weights import tune_weights
from ensemble.errors import UsageError
from ensemble.evaluation.labels import check_grouped, read_truth, truth_of
from ensemble.evaluation.metrics import Truth
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


def given_truth(frame: pd.DataFrame, of: Oof) -> Truth:
    """The truth of predictions from a frame of Python's."""
    return read_truth(table_of(frame, "labels"), of)


def test_python_gives_rows_by_id() -> None:
    frame = pd.DataFrame({"fog": [1, 0], "rain": [0, 1]}, ["b", "a"])
    found = given_truth(frame, oof("multilabel", "rain", "fog"))
    assert found.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(UsageError, match="labels: no column 'fog'; it has id, rain"):
        given_truth(frame[["rain"]], oof("multilabel", "rain", "fog"))


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
    with pytest.raises(UsageError, match="labels: no column '1'; it has id, 0"):
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


# ---- classes


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=9), st.permutations(CLASSES))
def test_a_label_is_the_place_of_its_class(labels: list[str], classes: list[str]) -> None:
    by_id = {f"r{n}": label for n, label in enumerate(labels)}
    ids = list(reversed(by_id))
    found = truth_of(ids, by_id, classes)
    assert [classes[place] for place in found] == labels[::-1]


def test_labels_of_other_rows_are_left_out() -> None:
    assert truth_of(("a",), {"a": "dog", "b": "no class"}, CLASSES).tolist() == [1]


def test_no_rows_have_no_truth() -> None:
    found = truth_of((), {}, CLASSES)
    assert (found.dtype, found.shape) == (np.int64, (0,))


def test_rows_without_a_label_are_named_with_the_flag() -> None:
    with pytest.raises(UsageError) as caught:
        truth_of(("a", "b", "c"), {"b": "cat"}, CLASSES)
    assert str(caught.value) == "no label for a, c: give --labels for every predicted row"


@pytest.mark.parametrize("odd", ["Cat", "cat ", "0"])
def test_a_label_that_is_no_class_is_named_with_the_classes(odd: str) -> None:
    with pytest.raises(UsageError) as caught:
        truth_of(("a", "b"), {"a": odd, "b": "cat"}, CLASSES)
    told = f"labels that are no class: {odd}; the classes are cat, dog, eel"
    assert str(caught.value) == told


@pytest.mark.parametrize("blank", ["", " "])
def test_a_label_that_is_blank_is_named_by_its_row(blank: str) -> None:
    with pytest.raises(UsageError, match=r"t\.csv: the label is blank for 1 rows, such as a: "):
        truth_of(("a", "b"), {"a": blank, "b": "cat", "c": ""}, CLASSES, "t.csv")
    assert truth_of(("a",), {"a": blank}, ("x", blank)).tolist() == [1]


def test_a_group_that_is_blank_is_named_by_its_row() -> None:
    with pytest.raises(UsageError, match=r"t\.csv: the group is blank for 2 rows, such as a, c: "):
        check_grouped({"a": "", "b": "g", "c": " ", "d": ""}, ("a", "b", "c"), "t.csv")
    check_grouped({"a": "g", "b": ""}, ("a",), "t.csv")


def test_the_ids_of_labels_are_told_by_the_predictions(tmp_path: Path) -> None:
    like = oof("classification", "cat", "dog")
    assert read(tmp_path, "lesion,image,label\nx,b,dog\nx,a,cat\n", like) == [0, 1]
    with pytest.raises(UsageError, match="Say by --id-col"):
        read(tmp_path, "one,two,label\na,b,dog\nb,a,cat\n", like)
    found = read_truth(tmp_path / "t.csv", like, id_column="two")
    assert found.tolist() == [0, 1]


@pytest.mark.parametrize("beside", ["kfold", "Fold"])
def test_a_fold_beside_labels_is_no_label(tmp_path: Path, beside: str) -> None:
    text = f"id,rain,{beside}\na,1,3\nb,0,4\n"
    assert read(tmp_path, text, oof("multilabel", "rain")) == [[1], [0]]


def test_labels_are_text_whatever_they_look_like(tmp_path: Path) -> None:
    like = oof("classification", "1", "01", "1.0")
    assert read(tmp_path, "id,label\na,01\nb,1.0\n", like) == [1, 2]


def test_labels_stand_in_the_column_that_is_named(tmp_path: Path) -> None:
    text = "id,label,animal\na,x,dog\nb,y,cat\n"
    assert read(tmp_path, text, oof("classification", "cat", "dog"), "animal") == [1, 0]


def test_a_column_of_labels_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column 'label'; it has id, animal"):
        read(tmp_path, "id,animal\na,cat\nb,cat\n", oof("classification", "cat", "dog"))


# ---- labels and values


def test_a_column_of_groups_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,rain,patient\na,1,p1\nb,0,p2\n")
    like = oof("multilabel", "rain")
    found = read_truth(tmp_path / "t.csv", like, group="patient")
    assert found.tolist() == [[1], [0]]
    with pytest.raises(UsageError, match="line 1: no class for the columns patient"):
        read_truth(tmp_path / "t.csv", like)


@pytest.mark.parametrize("cell", ["1", "1.0", " 1 ", "1e0"])
def test_a_label_that_is_given_is_any_one(tmp_path: Path, cell: str) -> None:
    found = read(tmp_path, f"id,rain\na,{cell}\nb,0\n", oof("multilabel", "rain"))
    assert found == [[1], [0]]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=2))
def test_values_come_as_they_are_written(values: list[float]) -> None:
    frame = pd.DataFrame({"age": [values[1], values[0]]}, ["b", "a"])
    found = given_truth(frame, oof("regression", "age"))
    assert found.tolist() == [[values[0]], [values[1]]]


def test_several_targets_are_joined_by_name(tmp_path: Path) -> None:
    text = "id,weight,age,note\nb,70,30,x\na,80,40,y\n"
    assert read(tmp_path, text, oof("regression", "age", "weight")) == [[40, 80], [30, 70]]


def test_one_of_several_targets_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column 'weight'; it has id, age, label"):
        read(tmp_path, "id,age,label\na,1,2\nb,1,2\n", oof("regression", "age", "weight"))


# ---- from Python


def test_python_gives_a_label_an_id() -> None:
    frame = pd.DataFrame({"id": ["b", "a"], "label": ["cat", "dog"]})
    found = given_truth(frame, oof("classification", "cat", "dog"))
    assert found.tolist() == [1, 0]


def test_labels_of_python_may_be_numbers() -> None:
    frame = pd.DataFrame({"label": [1, 0]}, ["a", "b"])
    assert given_truth(frame, oof("classification", "0", "1")).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("task", "value", "expected"),
    [("multilabel", 2, "0 or 1, found '2.0'"), ("multilabel", None, "0 or 1, found ''"),
     ("regression", None, "a finite number, found ''"),
     ("regression", float("inf"), "a finite number, found 'inf'")],
)  # fmt: skip
def test_a_value_of_python_that_is_none_is_named_by_its_place(
    task: Task, value: float | None, expected: str
) -> None:
    frame = pd.DataFrame({"rain": [0, 0], "fog": [1.0, value]}, ["a", "b"])
    with pytest.raises(UsageError) as caught:
        given_truth(frame, oof(task, "rain", "fog"))
    assert str(caught.value) == f"labels, 'b', column 'fog': expected {expected}"


@pytest.mark.parametrize(
    ("text", "like", "expected"),
    [
        ("id,label\nd/b.jpg,eel\nd/a.jpg,cat\n", oof("classification", *CLASSES), [0, 2]),
        ("id,fog\nb.jpg,1\na.jpg,0\n", oof("multilabel", "fog"), [[0], [1]]),
        ("id,age\ntrain/b,2.5\ntrain/a,1\n", oof("regression", "age"), [[1], [2.5]]),
    ],
)
def test_labels_a_folder_or_an_extension_apart_are_joined_and_told(
    tmp_path: Path, text: str, like: Oof, expected: list[object]
) -> None:
    (tmp_path / "t.csv").write_text(text)
    told: list[str] = []
    assert read_truth(tmp_path / "t.csv", like, tell=told.append).tolist() == expected
    assert "one to one, such as" in told[0]
