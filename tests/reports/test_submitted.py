"""A submission is read as it was written, and refused where it could not be joined by id."""

from pathlib import Path

import numpy as np
import pytest

from ensemble.errors import UsageError
from ensemble.reports.submitted import (
    Submitted,
    predicted_columns,
    read_submission,
    sums_to_one,
)


def written(folder: Path, text: str) -> Submitted:
    """What is read of a submission with this text."""
    (folder / "s.csv").write_text(text)
    return read_submission(folder / "s.csv")


def test_a_column_after_the_id_holds_labels(tmp_path: Path) -> None:
    found = written(tmp_path, "id,label\nb,dog\na,cat\n")
    assert found.has_labels
    assert found.labels() == ["dog", "cat"]
    assert list(found.rows) == ["b", "a"]


def test_probabilities_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = written(tmp_path, "id,cat,dog\nb,0.9,0.1\na,0.4,0.6\n")
    assert not found.has_labels
    np.testing.assert_array_equal(found.probabilities(), [[0.9, 0.1], [0.4, 0.6]])


def test_probabilities_stand_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    found = written(tmp_path, "id,cat,dog\nb,0.9,0.1\na,0.4,0.6\n")
    asked = found.probabilities(["a", "b"], ["dog", "cat"])
    np.testing.assert_array_equal(asked, [[0.6, 0.4], [0.1, 0.9]])


def test_no_ids_give_no_rows(tmp_path: Path) -> None:
    assert written(tmp_path, "id,cat,dog\nb,0.9,0.1\n").probabilities([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\na\n", ": expected an id column, another, and rows"),
        ("id,label\n", ": expected an id column, another, and rows"),
        ("id,label\na,x\nb,x\na,y\n", ", line 4: id 'a' stands in line 2 too: .*--id-col"),
        ("id,label\na,x\n,x\n", ", line 3: the id is empty"),
    ],
)
def test_a_table_that_cannot_be_joined_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"s\.csv{message}$"):
        written(tmp_path, text)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("much", "numbers: could not convert string to float: 'much'"),
        ("", "numbers: could not convert string to float: ''"),
        ("nan", "finite; those of b are not"),
        ("-inf", "finite; those of b are not"),
    ],
)
def test_a_cell_that_is_no_probability_is_refused(cell: str, message: str, tmp_path: Path) -> None:
    found = written(tmp_path, f"id,cat,dog\na,0.5,0.5\nb,{cell},0\n")
    with pytest.raises(UsageError, match=rf"s\.csv: probabilities are {message}$"):
        found.probabilities()


# ---- forms of several rows or columns


def test_columns_of_image_and_target_make_the_id_of_a_melted_row(tmp_path: Path) -> None:
    found = written(tmp_path, "image,value,target\na,0.5,x\na,0.5,y\nb,0.5,x\nb,0.5,y\n")
    assert (found.columns, list(found.rows)) == (("value",), ["a x", "a y", "b x", "b y"])
    assert found.has_values


@pytest.mark.parametrize("text", ["id,t,v\na,x,1\na,x,2\nb,x,1\n", "id,t,v\na,x,1\na,y,1\nb,x,1\n"])
def test_rows_that_are_not_every_pair_once_are_ids_that_stand_there_twice(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(UsageError, match="line 3: id 'a' stands in line 2 too"):
        written(tmp_path, text)


@pytest.mark.parametrize(
    ("cells", "values"), [(("0.5", "1"), True), (("1", "2"), False), (("0.5", "cat"), False)]
)
def test_whole_numbers_alone_may_be_labels(
    tmp_path: Path, cells: tuple[str, str], values: bool
) -> None:
    found = written(tmp_path, f"id,x\na,{cells[0]}\nb,{cells[1]}\n")
    assert (found.has_values, found.has_tasks) == (values, False)


def test_columns_that_are_not_all_numbers_are_tasks(tmp_path: Path) -> None:
    assert written(tmp_path, "id,mask,age\na,wear,3\n").has_tasks
    assert not written(tmp_path, "id,cat,dog\na,1e-9,nan\n").has_tasks


@pytest.mark.parametrize(
    ("header", "cells", "kept", "gone"),
    [
        ("id,cat,dog,fold", "0.25,0.75,3", ("cat", "dog"), "fold"),
        ("id,KFold,cat,dog", "3,0.25,0.75", ("cat", "dog"), "KFold"),
        ("id,cat,dog,Usage,split", "0.25,0.75,Private,7", ("cat", "dog"), "Usage, split"),
        ("id,target,cat,dog", "1,0.25,0.75", ("cat", "dog"), "target"),
        ("id,cat,y_true,dog,fold", "0.25,dog,0.75,1", ("cat", "dog"), "fold, y_true"),
        ("id,label,fold", "dog,2", ("label",), "fold"),
    ],
)
def test_what_stands_beside_predictions_is_left_out_and_told(
    header: str, cells: str, kept: tuple[str, ...], gone: str, tmp_path: Path
) -> None:
    found = predicted_columns(written(tmp_path, f"{header}\na,{cells}\n"))
    assert found.columns == kept
    assert list(found.rows["a"]) == (["dog"] if kept == ("label",) else ["0.25", "0.75"])
    assert found.notes == (f"{found.path}: the columns {gone} are no class, and left out",)


@pytest.mark.parametrize(
    ("header", "cells", "classes"),
    [
        ("id,fold,tear", "0.25,0.75", ()),  # kinds of damage, whose rows sum to 1
        ("id,other,target", "0.25,0.75", ()),
        ("id,fold,tear", "3,1", ("fold", "tear")),  # on another scale, and known by the labels
        ("id,fold", "3", ()),
        ("id,cat,dog", "3,1", ()),
    ],
)
def test_what_is_a_class_stays_whatever_it_is_called(
    header: str, cells: str, classes: tuple[str, ...], tmp_path: Path
) -> None:
    given = written(tmp_path, f"{header}\na,{cells}\n")
    assert predicted_columns(given, classes) is given


def test_an_index_beside_an_id_that_is_said_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("Unnamed: 0,image,cat,dog\n0,a,0.25,0.75\n")
    found = predicted_columns(read_submission(tmp_path / "s.csv", "image"))
    assert (found.columns, list(found.rows)) == (("cat", "dog"), ["a"])


def test_two_columns_that_may_be_folds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kfold, Fold may all be the folds"):
        predicted_columns(written(tmp_path, "id,cat,dog,kfold,Fold\na,0.5,0.5,1,2\n"))


def test_text_and_one_column_alone_do_not_sum_to_one(tmp_path: Path) -> None:
    given = written(tmp_path, "id,cat,dog,said\na,0.25,0.75,dog\n")
    assert sums_to_one(given, ("cat", "dog"))
    assert not sums_to_one(given, ("cat", "dog", "said"))
    assert not sums_to_one(given, ("cat",))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [(("0.5", "1"), True), (("0", "1"), False), (("0.5", "1.5"), False), (("cat", "0.5"), False)],
)
def test_fractions_in_one_column_are_a_probability(
    cells: tuple[str, str], expected: bool, tmp_path: Path
) -> None:
    found = written(tmp_path, f"id,target\na,{cells[0]}\nb,{cells[1]}\n")
    assert found.has_probability is expected
