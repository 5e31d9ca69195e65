"""Every form that is written can be read back against labels, or is refused with the reason."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.files.text_table import TextTable
from ensemble.records import Task
from ensemble.reports.read_back import ReadBack, read_back
from ensemble.reports.scorecard import Labels


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def back(
    text: str,
    truth: str,
    task: Task = "classification",
    *,
    column: str = "label",
    classes: tuple[str, ...] = (),
) -> ReadBack:
    """What is read of a submission against labels."""
    Path("s.csv").write_text(text)
    Path("labels.csv").write_text(truth)
    return read_back(Path("s.csv"), Labels(Path("labels.csv"), column, classes=classes), task)


def table_of(found: ReadBack) -> tuple[tuple[str, ...], ...]:
    """The header and the rows of what was read."""
    assert isinstance(found.table, TextTable)
    return found.table.header, *found.table.rows


TRUTH = "id,label\na,cat\nb,dog\n"


@pytest.mark.parametrize(
    "text", ["id,label\na,cat\nb,dog\n", "id,cat,dog\na,1,0\nb,0,1\n", "id,label\n", "id\na\n"]
)
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert back(text, TRUTH) == ReadBack(Path("s.csv"))


@pytest.mark.parametrize(
    "text",
    [
        "ID,value\nb_dog,0.9\na_cat,0.8\na_dog,0.2\nb_cat,0.1\n",
        "image,class,value\nb,dog,0.9\na,cat,0.8\na,dog,0.2\nb,cat,0.1\n",
    ],
)
def test_melted_rows_are_gathered_by_the_classes_of_the_labels(text: str) -> None:
    assert table_of(back(text, TRUTH)) == (
        ("id", "cat", "dog"), ("b", "0.1", "0.9"), ("a", "0.8", "0.2")
    )  # fmt: skip


def test_melted_targets_are_the_columns_of_the_labels() -> None:
    text = "image,target,value\na,x,1\na,y,2\nb,x,3\nb,y,4\n"
    found = back(text, "id,x,y\na,0,0\nb,0,0\n", "regression")
    assert table_of(found) == (("id", "x", "y"), ("a", "1", "2"), ("b", "3", "4"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,value\na_cat,1\na_dog,0\nb_cat,0\nb_fox,1\n", "'b_fox': expected.*--classes"),
        ("id,value\na_cat,1\na_dog,0\nb_cat,0\n", "1 are missing"),
    ],
)
def test_melted_rows_that_are_not_whole_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        back(text, TRUTH)


TASKS = "id,mask,age\na,wear,30\nb,none,40\n"


def test_of_several_tasks_that_of_the_label_column_is_taken() -> None:
    found = back(TASKS, TASKS, column="mask")
    assert table_of(found) == (("id", "mask"), ("a", "wear"), ("b", "none"))
    assert found.notes == ("scored is the column 'mask' of mask, age",)
    assert table_of(back(TASKS, TASKS, "regression", column="age"))[1] == ("a", "30")


def test_tasks_of_which_none_is_named_are_refused_with_the_flag() -> None:
    with pytest.raises(UsageError, match="mask are labels of several tasks: say by --label-col"):
        back(TASKS, TRUTH)


def test_melted_tasks_are_gathered_and_one_is_taken() -> None:
    text = "row_id,target\na_mask,wear\na_age,30\nb_mask,none\nb_age,40\n"
    assert table_of(back(text, TASKS, column="mask")) == (
        ("id", "mask"), ("a", "wear"), ("b", "none")
    )  # fmt: skip


SETS = "id,x,y,z,fold\na,1,0,1,0\nb,0,0,0,1\n"


def test_labels_in_one_cell_become_zeros_and_ones() -> None:
    expected = (("id", "x", "y", "z"), ("a", "1", "0", "1"), ("b", "0", "0", "0"))
    assert table_of(back("id,labels\na,x z\nb,\n", SETS, "multilabel")) == expected
    numbered = back("id,labels\na,0 2\nb,\n", SETS, "multilabel", classes=("x", "y", "z"))
    assert table_of(numbered) == expected


def test_numbers_of_labels_without_their_order_are_refused() -> None:
    with pytest.raises(UsageError, match="0, 2 are no labels; expected some of x, y, z.*--classes"):
        back("id,labels\na,0 2\nb,\n", SETS, "multilabel")


def test_the_best_labels_of_a_cell_are_refused_with_what_can_be_scored() -> None:
    with pytest.raises(UsageError, match="several labels, such as 'cat dog'; a score takes one"):
        back("id,label\na,cat dog\nb,dog cat\n", TRUTH)


@pytest.mark.parametrize(
    "text",
    [
        "id,fold,label\na,0,cat\nb,1,dog\n",
        "id,Usage,label\na,Public,cat\nb,Private,dog\n",
        "id,label,fold,cat\na,cat,0,0.5\nb,cat,1,0.5\n",
    ],
)
def test_what_stands_beside_predictions_is_no_task(text: str) -> None:
    assert back(text, TRUTH) == ReadBack(Path("s.csv"))


def test_melted_ids_may_be_an_extension_apart_from_those_of_the_labels() -> None:
    found = back("ID,value\na.png_dog,0.2\na.png_cat,0.8\n", TRUTH)
    assert table_of(found) == (("id", "cat", "dog"), ("a.png", "0.8", "0.2"))
