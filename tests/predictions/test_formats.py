"""What is written is read again; what is damaged, or no predictions, is refused by its file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import CLASSES, IDS, array, oof, probs

from ensemble.errors import UsageError
from ensemble.predictions.formats import Elsewhere, read, write, write_predictions
from ensemble.predictions.table import Oof


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
        read(path, elsewhere=Elsewhere(rows, classes))


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
        read(tmp_path / "y.npz", elsewhere=Elsewhere(classes=("a", "b", "c")))


def test_a_probability_that_is_null_is_refused(tmp_path: Path) -> None:
    column = pa.array([[1.0, None], [0.5, 0.5]], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"id": ["a", "b"], "probs": column}), tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="is null"):
        read(tmp_path / "p.parquet")


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
