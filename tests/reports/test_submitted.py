"""A submission is read as it was written, and refused where it could not be joined by id."""

from pathlib import Path

import numpy as np
import pytest

from ensemble.errors import UsageError
from ensemble.reports.submitted import Submitted, read_submission


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
        ("id\na\n", "expected an id column, another, and rows"),
        ("id,label\n", "expected an id column, another, and rows"),
        ("id,label\na,x\nb,x\na,y\n", "ids stand there twice: a; expected different ids"),
    ],
)
def test_a_table_that_cannot_be_joined_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"s\.csv: {message}$"):
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
    with pytest.raises(UsageError, match="ids stand there twice: a"):
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
