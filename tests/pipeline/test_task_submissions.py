"""Every form of a submission of tasks says the same of the label and of each task."""

from pathlib import Path

import numpy as np
import pytest

from ensemble.errors import UsageError
from ensemble.files.text_table import TextTable
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.pipeline.task_submissions import NO_LABEL, read_said
from ensemble.reports.scorecard import Labels

A, B = LabelTask("a", ("x", "y")), LabelTask("b", ("<5", ">=5"), (5.0,))
ROWS = (("x", "<5"), ("x", ">=5"), ("y", "<5"))
MAP = LabelMap(tuple("012"), (A, B), ROWS)
TRUTH = Labels(TextTable("truth", ("id", "label"), (("i.1", "0"), ("j", "1"), ("k", "2"))))
SAID = np.eye(3)[[2, 1, 0]]


def table(*rows: str) -> TextTable:
    header, *body = (tuple(row.split(",")) for row in rows)
    return TextTable("said", header, tuple(body))


FORMS = {
    "label": ("id,label", "i.1,2", "j,1", "k,0"),
    "wide": ("id,1,0,2", "i.1,0,0,1", "j,1,0,0", "k,0,1,0"),
    "tasks": ("id,b,a", "i.1,<5,y", "j,>=5,x", "k,<5,x"),
    "tasks by number": ("id,b,a", "i.1,0,1", "j,1,0", "k,0,0"),
    "tasks as a value": ("id,b,a", "i.1,4.9,y", "j,5,x", "k,-3,x"),
    "melted tasks by id": (
        "id,value", "i.1_a,y", "i.1_b,<5", "j_a,x", "j_b,>=5", "k_b,<5", "k_a,x",
    ),
    "melted tasks": ("id,task,value", "i.1,a,1", "i.1,b,0", "j,a,0", "j,b,1", "k,b,0", "k,a,0"),
    "melted labels": (
        "id,what,p", "i.1,0,0.0", "i.1,1,0.0", "i.1,2,1.0", "j,0,0.0", "j,1,1.0", "j,2,0.0",
        "k,0,1.0", "k,1,0.0", "k,2,0.0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(form: str) -> None:
    found = read_said(table(*FORMS[form]), TRUTH, MAP)
    assert (found.ids, found.classes) == (("i.1", "j", "k"), MAP.labels)
    np.testing.assert_array_equal(found.label, SAID)
    np.testing.assert_array_equal(found.tasks["a"], [[0, 1], [1, 0], [1, 0]])
    np.testing.assert_array_equal(found.tasks["b"], [[1, 0], [0, 1], [1, 0]])


@pytest.mark.parametrize(("form", "only"), [("wide", False), ("label", True), ("tasks", True)])
def test_probabilities_are_told_from_labels(form: str, only: bool) -> None:
    assert read_said(table(*FORMS[form]), TRUTH, MAP).labels_only == only


def test_numbers_of_classes_are_told_of() -> None:
    notes = read_said(table(*FORMS["tasks by number"]), TRUTH, MAP).notes
    assert [note for note in notes if "the numbers of its classes x, y" in note]


def test_a_row_whose_classes_make_no_label_has_none_and_is_told_of() -> None:
    found = read_said(table("id,a,b", "i.1,y,>=5", "j,x,<5"), TRUTH, MAP)
    assert found.classes == (*MAP.labels, NO_LABEL)
    assert found.label.argmax(1).tolist() == [3, 0]
    assert "of 1 row stand for no label" in found.notes[-1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("id,a,b", "i.1,z,<5"), "id 'i.1', column 'a': expected one of x, y, found 'z'"),
        (("id,label", "i.1,7"), "7 are no labels of the label map: 0, 1, 2"),
        (("id,0,1", "i.1,0.5,0.5"), "one for each label of the label map or one for each task"),
        (("id,value", "i.1_a,x", "i.1_b,<5", "j_a,x"), "needed for each image and each of a, b"),
    ],
)
def test_what_is_none_of_the_map_is_refused(rows: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_said(table(*rows), TRUTH, MAP)


def test_a_file_is_read_as_a_table_is(tmp_path: Path) -> None:
    path = tmp_path / "said.csv"
    path.write_text("\n".join(FORMS["melted tasks"]) + "\n")
    np.testing.assert_array_equal(read_said(path, TRUTH, MAP).label, SAID)
