"""Predictions of other tools are read as they stand, or it is said what they lack."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from tables import CLASSES, IDS, array, probs
from toys import ensemble

from ensemble.errors import UsageError
from ensemble.files.parquet import text_column
from ensemble.predictions.foreign import Foreign, folds_in, ids_in, of_table, read_foreign
from ensemble.predictions.formats import read
from ensemble.predictions.hints import ForeignHints


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
    found = read(tmp_path / "mate.parquet", elsewhere=ForeignHints(classes=CLASSES))
    np.testing.assert_allclose(found.families["mate"], probs(), atol=1e-7)


@pytest.mark.parametrize("odd", [[0.5, 0.5], [], None])
def test_a_list_of_another_length_is_named(tmp_path: Path, odd: list[float] | None) -> None:
    rows = [*probs().tolist()[:3], odd]
    pq.write_table(pa.table({"id": list(IDS), "p": rows}), tmp_path / "mate.parquet")
    expected = f"the list of 'b' holds {len(odd or [])} numbers, the first list 3"
    with pytest.raises(UsageError, match=expected):
        read(tmp_path / "mate.parquet")


def test_an_array_has_the_ids_of_the_rows_it_follows(tmp_path: Path) -> None:
    path, rows = array(tmp_path)
    found = read(path, "ant", ForeignHints(rows, CLASSES))
    assert (found.ids, found.classes) == (IDS, CLASSES)
    np.testing.assert_allclose(found.families["ant"], probs(), atol=1e-12)


def test_an_npz_without_names_takes_those_that_are_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=np.array(IDS), probs=probs())
    assert read(tmp_path / "x.npz", elsewhere=ForeignHints(classes=CLASSES)).classes == CLASSES
    np.savez(tmp_path / "y.npz", ids=np.array(IDS), probs=probs(), classes=np.array(CLASSES))
    other_order = ForeignHints(classes=CLASSES[::-1])
    assert read(tmp_path / "y.npz", elsewhere=other_order).classes == CLASSES


def test_an_array_without_ids_or_names_is_refused(tmp_path: Path) -> None:
    path, rows = array(tmp_path)
    with pytest.raises(UsageError, match="holds no ids.*--rows-of"):
        read(path, elsewhere=ForeignHints(classes=CLASSES))
    with pytest.raises(UsageError, match="holds no class names.*--classes"):
        read(path, elsewhere=ForeignHints(rows))


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
        read(path, elsewhere=ForeignHints(rows, CLASSES))


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


def test_an_id_that_is_null_is_refused(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", None], "cat": [0.5, 0.5], "dog": [0.5, 0.5]})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="without an id"):
        read(tmp_path / "p.parquet")


# ---- tables


@pytest.mark.parametrize("text", ["image,cat,dog\n a ,0.25,0.75\n", "cat,dog,id\n0.25,0.75, a \n",
                                  "cat,id,fold,dog\n0.25, a ,3,0.75\n"])  # fmt: skip
def test_the_id_and_the_fold_may_stand_anywhere(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    found = read_foreign(tmp_path / "p.csv")
    assert (found.ids, found.classes) == ((" a ",), ("cat", "dog"))
    assert found.probs.tolist() == [[0.25, 0.75]]
    assert (found.folds is not None) == ("fold" in text)


@pytest.mark.parametrize("fold", ["x", "1.5", ""])
def test_a_fold_that_is_none_is_named(tmp_path: Path, fold: str) -> None:
    (tmp_path / "p.csv").write_text(f"id,fold,cat,dog\na,{fold},0.5,0.5\n")
    with pytest.raises(UsageError, match=rf"p\.csv: .*a fold is a whole number; found '{fold}'"):
        read(tmp_path / "p.csv")


def test_the_columns_of_a_parquet_are_its_classes() -> None:
    table = pa.table({"cat": [0.5, 1.0], "fold": [1, 0], "id": ["b", "a"], "dog": [0.5, 0.0]})
    found = of_table("p", table)
    assert (found.ids, found.classes) == (("b", "a"), ("cat", "dog"))
    assert found.probs.tolist() == [[0.5, 0.5], [1, 0]]
    assert found.folds is not None
    assert found.folds.tolist() == [1, 0]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.large_string()])
def test_ids_are_text_whatever_they_were(kind: pa.DataType) -> None:
    column = pa.array([7, 10] if kind == pa.int64() else ["7", "10"], kind)
    found = ids_in("p", pa.table({"cat": [1.0, 1.0], "row": column}), "row")
    assert found == ("row", ("7", "10"))


def test_without_folds_there_are_none() -> None:
    assert folds_in("p", pa.table({"id": ["a"]})) is None


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint16(), pa.string()])
def test_folds_of_a_parquet_are_whole_numbers_of_any_type(kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array([3, 0]).cast(kind), pa.array([1]).cast(kind)])
    found = folds_in("p", pa.table({"fold": column}))
    assert found is not None
    assert (found.tolist(), found.dtype) == ([3, 0, 1], np.dtype(np.int64))


def test_a_fold_of_a_parquet_that_is_null_is_refused() -> None:
    with pytest.raises(ValueError, match="a fold is a whole number; found 'None'|found None"):
        folds_in("p", pa.table({"fold": pa.array([1, None])}))


def test_lists_of_a_fixed_length_are_read_as_they_stand() -> None:
    column = pa.array([[0.25, 0.75], [1, 0]], pa.list_(pa.float64(), 2))
    told = ForeignHints(classes=("x", "y"))
    found = of_table("p", pa.table({"id": ["a", "b"], "p": column}), told)
    assert found.classes == ("x", "y")
    assert found.probs.tolist() == [[0.25, 0.75], [1, 0]]


def test_a_number_that_is_null_is_not_a_number_and_refused_later(tmp_path: Path) -> None:
    table = pa.table({"id": ["a"], "cat": pa.array([None], pa.float64()), "dog": [1.0]})
    assert np.isnan(of_table("p", table).probs[0, 0])
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="NaN or infinite for a"):
        read(tmp_path / "p.parquet")


# ---- arrays


@pytest.mark.parametrize("suffix", [".CSV", ".Npz", ".NPY"])
def test_the_ending_of_a_file_may_be_in_capitals(tmp_path: Path, suffix: str) -> None:
    path, rows = array(tmp_path)
    np.savez(tmp_path / "m.npz", ids=np.array(IDS), probs=probs())
    (tmp_path / "m.csv").write_text("id,cat,dog,eel\n007,1,0,0\n")
    source = {".npy": path, ".npz": tmp_path / "m.npz", ".csv": tmp_path / "m.csv"}
    capital = source[suffix.lower()].rename(tmp_path / f"p{suffix}")
    assert read_foreign(capital, ForeignHints(rows, CLASSES)).classes == CLASSES


def test_an_npz_may_hold_folds(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=np.array(IDS), probs=probs(), fold=np.array([0, 1, 1, 0]))
    found = read_foreign(tmp_path / "x.npz")
    assert found.folds is not None
    assert found.folds.tolist() == [0, 1, 1, 0]
    assert found.classes == ("0", "1", "2")


@pytest.mark.parametrize("lacking", ["ids", "probs"])
def test_an_npz_that_lacks_an_array_is_refused_by_its_name(tmp_path: Path, lacking: str) -> None:
    arrays = {"ids": np.array(IDS), "probs": probs()}
    del arrays[lacking]
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=rf"x\.npz: .*{lacking}"):
        read(tmp_path / "x.npz")


def test_an_npz_that_would_run_code_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=np.array([{"a"}], object), probs=probs(rows=1))
    with pytest.raises(UsageError, match="cannot read the predictions: Object arrays cannot be"):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_numbers_of_any_precision_are_doubled(tmp_path: Path, dtype: type[np.generic]) -> None:
    path, rows = array(tmp_path, np.eye(4, 3).astype(dtype))
    found = read_foreign(path, ForeignHints(rows, CLASSES))
    assert found.probs.dtype == np.float64
    assert found.probs.tolist() == np.eye(4, 3).tolist()


def test_a_file_of_another_kind_is_refused_with_the_kinds(tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").touch()
    with pytest.raises(UsageError) as caught:
        read_foreign(tmp_path / "p.xlsx")
    told = "expected a .parquet, .csv, .npz or .npy file of predictions"
    assert str(caught.value) == f"{tmp_path / 'p.xlsx'}: {told}"


# ---- columns


def of_csv(folder: Path, text: str, **told: object) -> Foreign:
    (folder / "p.csv").write_text(text)
    return read_foreign(folder / "p.csv", ForeignHints(**told))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["fold", "kfold", "Fold", "KFOLD", "folds"])
def test_folds_are_read_under_each_of_their_names(tmp_path: Path, name: str) -> None:
    found = of_csv(tmp_path, f"id,{name},cat,dog\na,2,0.25,0.75\nb,0,0.5,0.5\n")
    assert found.classes == ("cat", "dog")
    assert found.folds is not None
    assert found.folds.tolist() == [2, 0]


def test_two_columns_of_folds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kfold, Fold may all be the folds: call one of them fold"):
        of_csv(tmp_path, "id,kfold,Fold,cat,dog\na,2,1,0.25,0.75\n")


@pytest.mark.parametrize("first", ["", "Unnamed: 0", "__index_level_0__", "index"])
def test_an_index_of_pandas_is_no_class(tmp_path: Path, first: str) -> None:
    text = f"{first},name,cat,dog\n0,a,0.25,0.75\n1,b,0.5,0.5\n"
    with pytest.raises(UsageError, match="is an index, as pandas writes it.*--id-col"):
        of_csv(tmp_path, text)
    found = of_csv(tmp_path, text, id_column="name")
    assert (found.ids, found.classes) == (("a", "b"), ("cat", "dog"))
    assert "are no class, and left out" in found.notes[0]


def test_labels_beside_probabilities_are_left_out_with_a_note(tmp_path: Path) -> None:
    text = "id,cat,dog,label,split\na,0.25,0.75,dog,test\nb,0.5,0.5,cat,train\n"
    found = of_csv(tmp_path, text)
    assert found.classes == ("cat", "dog")
    assert found.notes == (f"{tmp_path / 'p.csv'}: the columns label, split are no class, and left "
                           "out",)  # fmt: skip


def test_a_class_may_be_called_as_a_truth_is(tmp_path: Path) -> None:
    found = of_csv(tmp_path, "id,other,target\na,0.25,0.75\nb,0.5,0.5\n")
    assert (found.classes, found.notes) == (("other", "target"), ())
    beside = of_csv(tmp_path, "id,cat,dog,target\na,0.25,0.75,1\nb,0.5,0.5,0\n")
    assert beside.classes == ("cat", "dog")


def test_a_truth_beside_values_is_to_be_declared(tmp_path: Path) -> None:
    text = "id,fold,pred,target\na,0,1.5,2\nb,1,3.5,3\n"
    with pytest.raises(UsageError, match=r"target may be the truth.*beside pred.*--classes"):
        of_csv(tmp_path, text, task="regression")
    found = of_csv(tmp_path, text, task="regression", classes=("pred",))
    assert (found.classes, found.probs.tolist()) == (("pred",), [[1.5], [3.5]])
    alone = of_csv(tmp_path, "id,kfold,target\na,0,1.5\nb,1,3.5\n", task="regression")
    assert (alone.classes, alone.probs.tolist()) == (("target",), [[1.5], [3.5]])


def test_a_column_of_text_that_nobody_declares_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the columns patient hold none"):
        of_csv(tmp_path, "id,patient,cat,dog\na,p1,0.25,0.75\n")
    with pytest.raises(UsageError, match="no column is called id; it has lesion, image, cat, dog"):
        of_csv(tmp_path, "lesion,image,cat,dog\nx,a,0.25,0.75\n")


def test_a_column_that_is_none_of_the_classes_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the columns age are none of --classes cat, dog"):
        of_csv(tmp_path, "id,cat,dog,age\na,0.25,0.75,40\n", classes=("cat", "dog"))


# ---- one column of a probability


def test_one_column_is_the_probability_of_the_second_of_two_classes(tmp_path: Path) -> None:
    text = "id,target\na,0.25\nb,1\n"
    found = of_csv(tmp_path, text)
    assert (found.classes, found.probs.tolist()) == (("0", "1"), [[0.75, 0.25], [0, 1]])
    assert "read as the probability of '1', against '0'" in found.notes[0]
    named = of_csv(tmp_path, text, classes=("benign", "malignant"))
    assert named.classes == ("benign", "malignant")
    assert named.probs.tolist() == [[0.75, 0.25], [0, 1]]


def test_one_column_of_the_name_of_a_class_is_the_probability_of_it(tmp_path: Path) -> None:
    found = of_csv(tmp_path, "id,cat\na,0.25\n", classes=("cat", "dog"))
    assert (found.classes, found.probs.tolist()) == (("cat", "dog"), [[0.25, 0.75]])


def test_one_column_that_is_no_probability_is_refused_with_the_tasks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found 1\.5.*sigmoid first, or say.*--task regression"):
        of_csv(tmp_path, "id,target\na,0.5\nb,1.5\n")
    assert of_csv(tmp_path, "id,rain\na,0.5\n", task="multilabel").classes == ("rain",)


def test_an_array_of_one_probability_a_row_is_read(tmp_path: Path) -> None:
    path, rows = array(tmp_path, np.array([0.1, 0.2, 0.3, 1.0]))
    found = read_foreign(path, ForeignHints(rows, ("no", "yes")))
    np.testing.assert_allclose(found.probs[:, 1], [0.1, 0.2, 0.3, 1.0], rtol=0)
    np.testing.assert_allclose(found.probs.sum(1), 1)


def test_a_blank_cell_among_numbers_is_a_number_that_is_missing(tmp_path: Path) -> None:
    found = of_csv(tmp_path, "id,cat,dog\na,0.25,0.75\nb,,0.5\n")
    np.testing.assert_array_equal(found.probs, [[0.25, 0.75], [np.nan, 0.5]])
    with pytest.raises(UsageError, match="is NaN or infinite for b$"):
        read(tmp_path / "p.csv")


def test_a_column_without_a_number_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the columns comment hold none"):
        of_csv(tmp_path, "id,comment,cat,dog\na,,0.25,0.75\nb,,0.5,0.5\n")


def test_an_index_of_pandas_in_a_parquet_is_the_id_where_it_has_a_name(tmp_path: Path) -> None:
    frame = pd.DataFrame({"cat": [0.25, 0.5], "dog": [0.75, 0.5]}, index=["a", "b"])
    frame.to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(UsageError, match="'__index_level_0__' is an index.*--id-col"):
        read(tmp_path / "plain.parquet")
    frame.rename_axis("image").to_parquet(tmp_path / "named.parquet")
    assert read(tmp_path / "named.parquet").ids == ("a", "b")


def test_what_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nope: no such file or folder"):
        read_foreign(tmp_path / "nope")
