"""Tables and predictions that Python is given: a frame is the table of its CSV."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ensemble as package
from ensemble.api.tables import hints_of, predictions_of, submission_of, table_of
from ensemble.errors import UsageError
from ensemble.files.csv_tables import column_of, csv_bytes, read_table
from ensemble.files.text_table import TextTable
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


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"id": ["a", "7"], "label": ["cat", None], "n": [1, 2]}),
        pd.DataFrame({"label": ["cat", float("nan")], "n": [1, 2]}, pd.Index(["a", 7])),
    ],
)
def test_a_frame_is_the_csv_that_it_would_be_written_to(given: pd.DataFrame) -> None:
    table = table_of(given, "labels")
    assert read_table(table) == (["id", "label", "n"], [["a", "cat", "1"], ["7", "", "2"]])


def test_a_frame_of_texts_is_read_as_its_file_is(tmp_path: Path) -> None:
    rows = [("id", "label"), ("007", "1e5"), ("NA", "Zebra, grey")]
    path = tmp_path / "t.csv"
    path.write_bytes(csv_bytes(rows))
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert read_table(table_of(frame, "t")) == read_table(path)
    assert column_of(table_of(frame.set_index("id")["label"], "t", "label"), "label") == {
        "007": "1e5", "NA": "Zebra, grey",
    }  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"image": ["a", "b"]}),
        pd.Series(["cat", "dog"]),
        {"ant": pd.DataFrame([[1.0]])},
    ],
)
def test_rows_are_never_joined_by_their_position(given: object) -> None:
    read: Callable[[], object] = lambda: table_of(given, "labels", "label")  # noqa: E731
    if isinstance(given, dict):
        read = lambda: oof_of(given)  # noqa: E731
    with pytest.raises(UsageError, match="its index numbers the rows, and no column is called id"):
        read()


def test_an_index_that_is_named_is_of_ids() -> None:
    frame = pd.DataFrame({"label": ["cat", "dog"]}).rename_axis("id")
    assert column_of(table_of(frame, "labels"), "label") == {"0": "cat", "1": "dog"}


def test_numbers_that_are_ids_are_texts_and_stand_once() -> None:
    assert table_of({7: "cat"}, "labels", "label") == TextTable(
        "labels", ("id", "label"), (("7", "cat"),)
    )
    with pytest.raises(UsageError, match="labels: id '7' stands there twice"):
        table_of({7: "cat", "7": "dog"}, "labels", "label")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: table_of(7, "sample"), "sample: expected a path or a DataFrame; found int"),
        (
            lambda: table_of(["a"], "labels", "label"),
            "labels: expected a path or a DataFrame, a Series or a mapping by id; found list",
        ),
        (
            lambda: table_of({"a": 1}, "sample"),
            "sample: expected a path or a DataFrame; found dict",
        ),
        (lambda: oof_of(pd.DataFrame()), "oof: expected an Oof, paths, or a mapping of families"),
        (lambda: oof_of({"ant": [1]}), "family 'ant': expected a path or a DataFrame; found list"),
        (lambda: submission_of(1, "first"), "first: expected a path or a DataFrame; found int"),
    ],
)
def test_another_type_is_refused_with_what_was_expected(
    read: Callable[[], object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read()


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
