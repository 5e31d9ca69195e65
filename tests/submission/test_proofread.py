"""A submission says of each image what was decided, or the rows that do not are named."""

from pathlib import Path

import numpy as np
import pytest

from ensemble.submission.proofread import LabelFormat, label_faults

CLASSES = ("cat", "dog", "owl")
LABELS = np.array([[0], [2]])
PRINT = LabelFormat(CLASSES, single=True, by_number=False, fill=None)
SETS = LabelFormat(CLASSES, single=False, by_number=False, fill=None)


def found(
    folder: Path, text: str, how: LabelFormat = PRINT, labels: np.ndarray = LABELS
) -> list[str]:
    path = folder / "submission.csv"
    path.write_text(text)
    return label_faults(path, how, ["a", "b"], labels, ["c"])


@pytest.mark.parametrize(
    ("by_number", "fill", "text"),
    [
        (False, None, "a,cat\nb,owl\n"),
        (False, None, "b,owl\na,cat\n"),
        (True, None, "a,0\nb,2\n"),
        (False, "dog", "a,cat\nc,dog\nb,owl\n"),
        (True, "dog", "a,0\nb,2\nc,1\n"),
        (True, "1", "a,0\nb,2\nc,1\n"),
    ],
)
def test_labels_by_name_or_number_are_found_right(
    tmp_path: Path, by_number: bool, fill: str | None, text: str
) -> None:
    how = LabelFormat(CLASSES, single=True, by_number=by_number, fill=fill)
    assert found(tmp_path, "id,any\n" + text, how) == []


def test_sets_of_labels_are_found_right_in_any_order_of_columns(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1], [1, 0, 0]])
    assert found(tmp_path, "id,owl,cat,dog\na,1,0,1\nb,0,1,0\n", SETS, labels) == []
    how = LabelFormat(CLASSES, single=False, by_number=False, fill="0")
    text = "id,owl,cat,dog\na,1,0,1\nb,0,1,0\nc,0,0,0\n"
    assert found(tmp_path, text, how, labels) == []


def test_labels_in_one_cell_are_found_right_by_name_or_number(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1], [0, 0, 0]])
    assert found(tmp_path, "id,labels\na,dog owl\nb,\n", SETS, labels) == []
    how = LabelFormat(CLASSES, single=False, by_number=True, fill="cat owl")
    assert found(tmp_path, "id,labels\na,1 2\nb,\nc,0 2\n", how, labels) == []
    (fault,) = found(tmp_path, "id,labels\na,dog\nb,\n", SETS, labels)
    assert fault.endswith("in 1 rows: a")


def test_melted_sets_of_labels_are_found_right(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1], [1, 0, 0]])
    text = "id,value\nb_cat,1\nb_dog,0\nb_owl,0\na_owl,1\na_dog,1\na_cat,0\n"
    assert found(tmp_path, text, SETS, labels) == []
    (fault,) = found(tmp_path, text.replace("a_dog,1", "a_dog,0"), SETS, labels)
    assert fault.endswith("in 1 rows: a")


def test_the_id_may_stand_in_another_column(tmp_path: Path) -> None:
    assert found(tmp_path, "label,image\ncat,a\nowl,b\n") == []


def test_a_row_with_another_label_is_named(tmp_path: Path) -> None:
    (fault,) = found(tmp_path, "id,label\na,cat\nb,dog\n")
    assert fault.endswith("has another label than was decided in 1 rows: b")


def test_a_row_with_another_set_of_labels_is_named(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1], [1, 0, 0]])
    (fault,) = found(tmp_path, "id,cat,dog,owl\na,0,1,1\nb,1,0,1\n", SETS, labels)
    assert fault.endswith("in 1 rows: b")


@pytest.mark.parametrize("text", ["a,cat\n", "a,cat\nb,owl\nc,dog\n"])
def test_a_row_too_few_or_too_many_is_named(tmp_path: Path, text: str) -> None:
    (fault,) = found(tmp_path, "id,label\n" + text)
    assert "lacks, or should not have, 1 rows" in fault


@pytest.mark.parametrize(
    ("how", "header"), [(PRINT, "id,label,more\na,cat,1\n"), (SETS, "id,cat,dog\na,0,1\n")]
)
def test_other_columns_are_a_fault(tmp_path: Path, how: LabelFormat, header: str) -> None:
    (fault,) = found(tmp_path, header, how, LABELS)
    assert "other columns" in fault


@pytest.mark.parametrize("text", ["", "id,label\na,cat\na,cat\n", "id,label\na\n"])
def test_a_file_that_is_no_submission_is_a_fault(tmp_path: Path, text: str) -> None:
    (fault,) = found(tmp_path, text)
    assert "submission.csv" in fault
