"""The truth of a label map: labels, tasks, or both where they agree."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.evaluation.joint_labels import read_joint_truth
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask

AGE = LabelTask("age", ("<30", ">=30"), (30.0,), None, (("kid", "<30"),))
MASK = LabelTask("mask", ("off", "on"))
MAP = LabelMap(("0", "1", "2"), (AGE, MASK), (("<30", "off"), (">=30", "off"), (">=30", "on")))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, *ids: str, column: str = "label") -> list[int]:
    Path("labels.csv").write_text(text)
    return read_joint_truth(Path("labels.csv"), ids, MAP, column).tolist()


def test_labels_are_read_by_id() -> None:
    assert read("id,label\nb,2\na,0\n", "a", "b") == [0, 2]


def test_columns_of_tasks_make_the_label_in_any_order() -> None:
    assert read("mask,id,age\non,b,>=30\noff,a,<30\n", "a", "b") == [0, 2]


@pytest.mark.parametrize(
    ("cell", "place"), [("30.0", 1), ("30", 1), ("29.999", 0), ("kid", 0), ("<30", 0), ("-1", 0)]
)
def test_a_number_is_cut_and_a_finer_class_merged(cell: str, place: int) -> None:
    assert read(f"id,age,mask\na,{cell},off\n", "a") == [place]


def test_a_label_and_tasks_that_agree_may_stand_side_by_side() -> None:
    assert read("id,label,age,mask\na,2,44,on\n", "a") == [2]


def test_some_tasks_may_stand_beside_a_label_that_agrees() -> None:
    assert read("id,mask,label\na,off,1\nb,on,2\n", "a", "b") == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,label,age,mask\na,1,44,on\n", "line 2, id 'a': its label is '1', and its tasks"),
        ("id,label,age\na,0,44\n", "its label is '0', and its tasks say >=30; that label has <30"),
        ("id,label,mask\na,0,on\n", "its label is '0', and its tasks say on; that label has off"),
        ("id,label,age\na,0,old\n", "column 'age': expected one of <30, >=30 or a number"),
        ("id,label,age\na,7,44\n", "line 2, id 'a': '7' is no label of the label map: 0, 1, 2"),
        ("id,age,mask\na,12,on\n", "line 2, id 'a': the classes <30, on stand for no label"),
        ("id,age,mask\na,old,on\n", "column 'age': expected one of <30, >=30 or a number"),
        ("id,age,mask\na,nan,on\n", "found 'nan'"),
        ("id,age,mask\na,44,half\n", "column 'mask': expected one of off, on, found 'half'"),
        ("id,age\na,44\n", "there is none for mask"),
        ("id,label\na,7\n", "labels that are no class: 7"),
        ("id,label\nb,1\n", "no label for a"),
    ],
)
def test_a_truth_that_is_none_is_refused_by_its_row(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(text, "a")
