"""Files of predictions are joined by id and class name, and checked once, at the door."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from toys import ensemble

from ensemble.errors import UsageError
from ensemble.evaluation.folds import folds_from
from ensemble.files.parquet import text_column
from ensemble.predictions.formats import Elsewhere, read, write, write_predictions
from ensemble.predictions.table import Oof, join

CLASSES = ("cat", "dog", "eel")
IDS = ("007", "NA", "1e5", "b")


def probs(seed: int = 0, rows: int = 4) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.ones(3), rows)


def oof(name: str = "ant", seed: int = 0, **more: object) -> Oof:
    return Oof(IDS, CLASSES, {name: probs(seed)}, **more)  # type: ignore[arg-type]


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


def from_elsewhere(folder: Path, kind: str) -> Path:
    """The same predictions as `oof()`, as other tools write them."""
    path = folder / f"mate.{kind.partition('-')[0]}"
    frame = pd.DataFrame(probs(), columns=list(CLASSES))
    frame.insert(0, "id", IDS)
    match kind:
        case "csv":
            frame.to_csv(path, index=False, float_format="%.17g")
        case "parquet":
            frame.to_parquet(path, index=False)
        case "parquet-list":
            lists = pa.FixedSizeListArray.from_arrays(pa.array(probs().ravel()), 3)
            pq.write_table(pa.table({"id": text_column(IDS), "p": lists}), path)
        case "npz":
            np.savez(path, ids=np.array(IDS), probs=probs(), classes=np.array(CLASSES))
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_predictions_from_elsewhere_are_read(tmp_path: Path, kind: str) -> None:
    found = read(from_elsewhere(tmp_path, kind), "ant")
    assert (found.ids, found.classes) == (IDS, CLASSES)
    np.testing.assert_allclose(found.families["ant"], probs(), atol=1e-12)


def test_a_list_column_from_elsewhere_has_numbers_for_classes(tmp_path: Path) -> None:
    found = read(from_elsewhere(tmp_path, "parquet-list"))
    assert (found.classes, list(found.families)) == (("0", "1", "2"), ["mate"])
    np.testing.assert_allclose(found.families["mate"], probs(), atol=1e-12)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64())])
def test_lists_as_pandas_and_polars_write_them_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"id": list(IDS), "p": pa.array(probs().tolist(), kind)})
    pq.write_table(table, tmp_path / "mate.parquet", row_group_size=3)
    found = read(tmp_path / "mate.parquet", elsewhere=Elsewhere(classes=CLASSES))
    np.testing.assert_allclose(found.families["mate"], probs(), atol=1e-7)


@pytest.mark.parametrize("odd", [[0.5, 0.5], [], None])
def test_a_list_of_another_length_is_named(tmp_path: Path, odd: list[float] | None) -> None:
    rows = [*probs().tolist()[:3], odd]
    pq.write_table(pa.table({"id": list(IDS), "p": rows}), tmp_path / "mate.parquet")
    expected = f"the list of 'b' holds {len(odd or [])} numbers, the first list 3"
    with pytest.raises(UsageError, match=expected):
        read(tmp_path / "mate.parquet")


def test_float16_rows_are_divided_by_their_sum_and_counted(tmp_path: Path) -> None:
    values = probs().astype(np.float16)
    np.savez(tmp_path / "half.npz", ids=np.array(IDS), probs=values)
    found = read(tmp_path / "half.npz")
    np.testing.assert_allclose(found.families["half"].sum(1), 1, atol=1e-15)
    assert found.rescaled == int((abs(values.astype(np.float64).sum(1) - 1) > 1e-6).sum()) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array(["a", "b", "a", "c"])}, "ids stand there twice: a"),
        ({"probs": probs() * [[1], [np.nan], [1], [1]]}, "NaN or infinite for NA"),
        ({"probs": np.log(probs())}, "gives no probabilities for 4 rows"),
        ({"probs": probs()[:3]}, r"\(3, 3\); expected 4 rows"),
    ],
)
def test_predictions_that_are_wrong_are_refused(
    tmp_path: Path, change: dict[str, NDArray[np.float64]], message: str
) -> None:
    arrays = {"ids": np.array(IDS), "probs": probs(), **change}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "x.npz")


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


def test_files_are_joined_by_id_and_class_name() -> None:
    rows, columns = [2, 0, 3, 1], [1, 2, 0]
    shuffled = Oof(
        tuple(IDS[r] for r in rows),
        tuple(CLASSES[c] for c in columns),
        {"ant": probs(1)[rows][:, columns]},
        np.array([9, 7, 8, 6])[rows],
    )
    joined = join([oof("bee"), shuffled])
    assert list(joined.families) == ["ant", "bee"]
    np.testing.assert_array_equal(joined.families["ant"], probs(1))
    np.testing.assert_array_equal(joined.folds, [9, 7, 8, 6])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Oof((*IDS[:3], "z"), CLASSES, {"bee": probs()}), "only the first has b; only the second"),
        (Oof(IDS, ("cat", "dog", "fox"), {"bee": probs()}), "other classes"),
        (Oof(IDS, CLASSES, {"ant": probs()}), "'ant' is given twice"),
        (Oof(IDS, CLASSES, {"bee": probs()}, np.array([0, 1, 1, 1])), "'1e5' is in fold 1"),
    ],
)
def test_files_that_do_not_fit_are_refused(other: Oof, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        join([oof(folds=np.array([0, 1, 0, 1])), other])


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


def test_folds_are_read_by_id(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("fold,id\n2,b\n0,007\n1,NA\n0,1e5\n")
    np.testing.assert_array_equal(folds_from(tmp_path / "folds.csv", IDS), [0, 1, 0, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,fold\n007,0\n", "no fold for NA, 1e5, b"),
        ("id,fold\n007,x\nNA,0\n1e5,0\nb,0\n", "whole number"),
        ("id,fold\n007,1_0\nNA,0\n1e5,0\nb,0\n", "whole number; found '1_0'"),
        (f"id,fold\n007,{'9' * 30}\nNA,0\n1e5,0\nb,0\n", "whole number; found '999"),
        ("id,fold\n007,0\n007,1\n", "line 3: id '007' stands in line 2 too"),
        ("id,part\n007,0\n", "no column 'fold'"),
    ],
)
def test_folds_that_are_wrong_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "folds.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        folds_from(tmp_path / "folds.csv", IDS)


def array(folder: Path, values: NDArray[np.float64] | None = None) -> tuple[Path, Path]:
    """A bare .npy, and the table whose rows it follows."""
    np.save(folder / "mate.npy", probs() if values is None else values)
    (folder / "train.csv").write_text("label,id\n" + "".join(f"cat,{i}\n" for i in IDS))
    return folder / "mate.npy", folder / "train.csv"


def test_an_array_has_the_ids_of_the_rows_it_follows(tmp_path: Path) -> None:
    path, rows = array(tmp_path)
    found = read(path, "ant", Elsewhere(rows, CLASSES))
    assert (found.ids, found.classes) == (IDS, CLASSES)
    np.testing.assert_allclose(found.families["ant"], probs(), atol=1e-12)


def test_an_npz_without_names_takes_those_that_are_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=np.array(IDS), probs=probs())
    assert read(tmp_path / "x.npz", elsewhere=Elsewhere(classes=CLASSES)).classes == CLASSES
    np.savez(tmp_path / "y.npz", ids=np.array(IDS), probs=probs(), classes=np.array(CLASSES))
    other_order = Elsewhere(classes=CLASSES[::-1])
    assert read(tmp_path / "y.npz", elsewhere=other_order).classes == CLASSES


def test_names_beside_a_file_that_names_other_classes_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", ids=np.array(IDS), probs=probs(), classes=np.array(CLASSES))
    with pytest.raises(UsageError, match="names the classes cat, dog, eel itself, and --classes"):
        read(tmp_path / "y.npz", elsewhere=Elsewhere(classes=("a", "b", "c")))


def test_an_array_without_ids_or_names_is_refused(tmp_path: Path) -> None:
    path, rows = array(tmp_path)
    with pytest.raises(UsageError, match="holds no ids.*--rows-of"):
        read(path, elsewhere=Elsewhere(classes=CLASSES))
    with pytest.raises(UsageError, match="holds no class names.*--classes"):
        read(path, elsewhere=Elsewhere(rows))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (probs(rows=3), "3 rows; .*train.csv has 4"),
        (probs()[:, :2], r"\(4, 2\); expected rows and 3 columns"),
        (probs()[0], r"shape is \(3,\)"),
        (np.array([[object()]]), "cannot read the predictions"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(
    tmp_path: Path, values: NDArray[np.float64], message: str
) -> None:
    path, rows = array(tmp_path, values)
    with pytest.raises(UsageError, match=message):
        read(path, elsewhere=Elsewhere(rows, CLASSES))


def test_the_command_tunes_on_an_array_as_on_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ids, y = [f"r{n}" for n in range(60)], np.arange(60) % 3
    rows = [f"{i},{CLASSES[c]},{n % 2}" for n, (i, c) in enumerate(zip(ids, y, strict=True))]
    Path("train.csv").write_text("\n".join(["id,label,fold", *rows]))
    np.save("ant.npy", 0.5 * probs(1, 60) + 0.5 * np.eye(3)[y])
    table = pd.DataFrame(0.6 * probs(2, 60) + 0.4 * np.eye(3)[y], ids, list(CLASSES))
    table.to_csv("bee.csv", index_label="id")
    asked = ["tune-weights", "--labels", "train.csv", "--folds", "train.csv", "--json"]
    named = ["--rows-of", "train.csv", "--classes", "cat,dog,eel"]
    assert ensemble(*asked, *named, "--oof", "ant.npy", "bee.csv") == 0
    assert '"ant"' in capsys.readouterr().out
    assert ensemble(*asked, *named, "--oof", "bee.csv") == 2
    assert "--rows-of goes with a .npy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,cat,dog\n", "classes and rows"),
        ("id,fold\na,0\n", "classes and rows"),
        ("id,cat,dog\n,0.5,0.5\n", "ids: number 1 is empty"),
    ],
)
def test_predictions_of_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "p.csv")


def test_an_id_that_is_null_is_refused(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", None], "cat": [0.5, 0.5], "dog": [0.5, 0.5]})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="without an id"):
        read(tmp_path / "p.parquet")


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
