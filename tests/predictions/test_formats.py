"""What is written is read again; what is damaged, or no predictions, is refused by its file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import CLASSES, IDS, array, oof, probs, write_predictions

from ensemble.errors import UsageError
from ensemble.files.csv_tables import csv_bytes
from ensemble.predictions.formats import in_memory, read, read_all
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.oof_file import METADATA, write
from ensemble.predictions.table import Oof
from ensemble.records import Quarantined, Task


def test_an_oof_file_survives_the_round_trip(tmp_path: Path) -> None:
    folds = np.array([0, 1, 0, 1])
    made = Oof(IDS, CLASSES, {"ant": probs(0), "bee": probs(1)}, folds, {"ant": ("ab",)})
    write(tmp_path / "oof.parquet", made)
    found = read(tmp_path / "oof.parquet")
    assert (found.ids, found.classes, found.members) == (IDS, CLASSES, {"ant": ("ab",)})
    np.testing.assert_array_equal(found.folds, folds)
    for name, values in made.families.items():
        np.testing.assert_allclose(found.families[name], values, atol=1e-7)


def test_a_family_of_an_oof_file_can_be_taken_alone(tmp_path: Path) -> None:
    made = Oof(IDS, CLASSES, {"ant": probs(0), "bee": probs(1)}, None, {"bee": ("x",)})
    write(tmp_path / "oof.parquet", made)
    found = read(tmp_path / "oof.parquet", "bee")
    assert (list(found.families), found.members) == (["bee"], {"bee": ("x",)})
    with pytest.raises(UsageError, match="no family 'cow'; it has ant, bee"):
        read(tmp_path / "oof.parquet", "cow")


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.txt", b""), ("x.parquet", b"no"), ("x.npz", b"no"), ("x.csv", b"id,a\nx,much\n")],
)
def test_what_is_no_file_of_predictions_is_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("cat", "cat", "dog"), "classes stand there twice: cat"),
        (("cat", "", "dog"), "classes: number 2 is empty"),
    ],
)
def test_classes_that_name_no_one_column_are_refused(
    tmp_path: Path, classes: tuple[str, ...], message: str
) -> None:
    np.savez(tmp_path / "x.npz", ids=np.array(IDS), probs=probs(), classes=np.array(classes))
    with pytest.raises(UsageError, match=rf"x\.npz: {message}"):
        read(tmp_path / "x.npz")
    path, rows = array(tmp_path)
    with pytest.raises(UsageError, match=rf"mate\.npy: {message}"):
        read(path, elsewhere=ForeignHints(rows, classes))


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_a_run_whose_images_ended_early_says_that_it_holds_labels_only(
    tmp_path: Path, task: str
) -> None:
    path, plain = tmp_path / "predictions.parquet", task == "classification"
    labels = ["cat"] * 4 if plain else []
    columns = {} if plain else {"labels": probs().round()}
    about = {"classes": CLASSES, "task": task}
    write_predictions(path, IDS, labels, columns, about, evaluations=np.ones(4, np.int64))
    with pytest.raises(UsageError, match=r"predictions\.parquet: its images ended early .*n_evals"):
        read(path)


def test_names_beside_a_file_that_names_other_classes_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", ids=np.array(IDS), probs=probs(), classes=np.array(CLASSES))
    with pytest.raises(UsageError, match="names the classes cat, dog, eel itself, and --classes"):
        read(tmp_path / "y.npz", elsewhere=ForeignHints(classes=("a", "b", "c")))


def test_a_probability_that_is_null_is_refused(tmp_path: Path) -> None:
    column = pa.array([[1.0, None], [0.5, 0.5]], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"id": ["a", "b"], "probs": column}), tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="is null"):
        read(tmp_path / "p.parquet")


def test_a_header_that_ends_too_soon_is_refused(tmp_path: Path) -> None:
    header = b"{'descr': ("
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header)
    (tmp_path / "rows.csv").write_text("id\na\n")
    told = ForeignHints(tmp_path / "rows.csv", ("cat", "dog"))
    with pytest.raises(UsageError, match=r"x\.npy: cannot read the predictions"):
        read(path, None, told)


@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_damaged_files_of_predictions_are_refused_or_whole(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"p.{kind}"
    if kind == "npz":
        np.savez(path, ids=IDS, probs=probs(), classes=CLASSES)
    else:
        write(path, oof())
    whole, data = read(path), path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            found = read(path)
        except UsageError:
            continue
        for values in found.families.values():
            np.testing.assert_array_equal(values, next(iter(whole.families.values())))


# ---- OOF files

LOST = Quarantined("z", "z.png", "decode", "truncated", 'größe, "half"\nof it', "ab" * 32, 7)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_an_oof_file_keeps_all_that_it_is_told(tmp_path: Path, task: Task) -> None:
    made = oof(task=task, folds=np.array([3, 0, 3, 1]), members={"ant": ("x", "y")},
               quarantined=(LOST,))  # fmt: skip
    write(tmp_path / "oof.parquet", made)
    found = read(tmp_path / "oof.parquet")
    assert (found.task, found.members, found.quarantined) == (task, made.members, (LOST,))
    assert found.folds is not None
    assert found.folds.tolist() == [3, 0, 3, 1]
    assert not found.deployed


@pytest.mark.parametrize("name", ["ant", "größe", "family:x", "a b", "probs", "label"])
def test_a_family_may_have_the_name_of_something_else(tmp_path: Path, name: str) -> None:
    write(tmp_path / "oof.parquet", oof(name))
    assert list(read(tmp_path / "oof.parquet").families) == [name]


def test_an_oof_file_is_read_by_pandas_too(tmp_path: Path) -> None:
    write(tmp_path / "oof.parquet", oof(folds=np.arange(4)))
    frame = pd.read_parquet(tmp_path / "oof.parquet")
    assert list(frame.columns) == ["id", "fold", "ant"]
    assert tuple(frame["id"]) == IDS
    np.testing.assert_allclose(np.stack(frame["ant"]), probs(), atol=1e-7)


def test_the_same_predictions_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, oof(folds=np.arange(4)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_values_of_a_regression_are_no_probabilities(tmp_path: Path) -> None:
    values = np.array([[-5.0], [1e6], [0.0], [2.5]])
    np.savez(tmp_path / "x.npz", ids=np.array(IDS), probs=values, classes=np.array(["age"]))
    found = read(tmp_path / "x.npz", elsewhere=ForeignHints(task="regression"))
    assert (found.task, found.rescaled) == ("regression", 0)
    np.testing.assert_array_equal(found.families["x"], values)


def test_a_task_that_is_told_is_checked_against_the_file(tmp_path: Path) -> None:
    write(tmp_path / "oof.parquet", oof())
    with pytest.raises(UsageError, match="its predictions are classification, not regression"):
        read(tmp_path / "oof.parquet", elsewhere=ForeignHints(task="regression"))


def test_names_of_the_same_classes_may_be_told_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "oof.parquet", oof())
    found = read(tmp_path / "oof.parquet", elsewhere=ForeignHints(classes=CLASSES[::-1]))
    assert found.classes == CLASSES


@pytest.mark.parametrize("about", ["{", "[1]", "{}x", '{"classes": 3}', '{"schema": 1}', "7"])
def test_a_file_whose_description_was_edited_is_refused(tmp_path: Path, about: str) -> None:
    write(tmp_path / "oof.parquet", oof())
    table = pq.read_table(tmp_path / "oof.parquet")
    pq.write_table(table.replace_schema_metadata({METADATA: about}), tmp_path / "oof.parquet")
    with pytest.raises(UsageError, match="oof.parquet: cannot read the predictions"):
        read(tmp_path / "oof.parquet")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for kind in ("csv", "npz", "npy", "parquet"):
        with pytest.raises(UsageError, match=rf"gone\.{kind}"):
            read(tmp_path / f"gone.{kind}", elsewhere=ForeignHints(tmp_path / "x.csv", CLASSES))


def test_files_are_read_and_joined_by_their_names(tmp_path: Path) -> None:
    write(tmp_path / "oof.parquet", oof("ant", 0))
    order = [2, 0, 3, 1]
    rows = [[IDS[n], *probs(1)[n]] for n in order]
    (tmp_path / "mate.csv").write_bytes(csv_bytes([["id", *CLASSES], *rows]))
    found = read_all([(None, tmp_path / "oof.parquet"), ("bee", tmp_path / "mate.csv")])
    assert (list(found.families), found.ids) == (["ant", "bee"], IDS)
    np.testing.assert_allclose(found.families["bee"], probs(1), atol=1e-12)


# ---- what a run writes

ABOUT = {"classes": list(CLASSES), "task": "classification", "members": {"ant": ["x"]}}


def written(path: Path, **more: Any) -> Path:
    columns = {"probs": probs(1), "family:ant": probs(0), "family:bee": probs(2)}
    write_predictions(path, IDS, ["cat", "dog", "eel", "cat"], columns, ABOUT, **more)
    return path


def test_the_families_of_a_run_are_read_and_not_their_blend(tmp_path: Path) -> None:
    found = read(written(tmp_path / "predictions.parquet"))
    assert (list(found.families), found.deployed) == (["ant", "bee"], True)
    assert (found.ids, found.classes, found.members) == (IDS, CLASSES, {"ant": ("x",)})
    np.testing.assert_allclose(found.families["ant"], probs(0), atol=1e-7)


def test_a_family_of_a_run_can_be_taken_alone(tmp_path: Path) -> None:
    found = read(written(tmp_path / "predictions.parquet"), "bee")
    assert (list(found.families), found.members) == (["bee"], {})


def test_a_runs_file_is_a_table_for_anyone(tmp_path: Path) -> None:
    frame = pd.read_parquet(written(tmp_path / "predictions.parquet"))
    assert list(frame.columns) == ["id", "label", "probs", "family:ant", "family:bee"]
    assert list(frame["label"]) == ["cat", "dog", "eel", "cat"]


def test_columns_in_memory_are_read_as_those_of_a_file(tmp_path: Path) -> None:
    columns = {"fold": [1, 0], "cat": [0.25, 0.5], "dog": [0.75, 0.5]}
    found = in_memory("table", "ant", ("a", "b"), columns)
    (tmp_path / "ant.csv").write_text("id,fold,cat,dog\na,1,0.25,0.75\nb,0,0.5,0.5\n")
    of_file = read(tmp_path / "ant.csv")
    assert (found.ids, found.classes, list(found.families)) == (("a", "b"), ("cat", "dog"), ["ant"])
    np.testing.assert_array_equal(found.families["ant"], of_file.families["ant"])
    assert found.folds is not None
    assert found.folds.tolist() == [1, 0]


def test_a_fold_in_memory_that_is_none_is_refused_by_the_table() -> None:
    with pytest.raises(UsageError, match="table: a fold is a whole number"):
        in_memory("table", "ant", ("a",), {"fold": ["x"], "cat": [1.0], "dog": [0.0]})
