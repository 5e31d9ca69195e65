"""Each task has its label or its value, by its name."""

import numpy as np
import pytest

from ensemble.errors import ContractError, UsageError
from ensemble.submission.forms import Wanted
from ensemble.submission.tasks import TaskForm, TaskOutcome, filled_tasks, task_forms, task_rows

TASKS = {"mask": ("wear", "wrong", "none"), "age": ()}
MASK = TaskOutcome("mask", TASKS["mask"], np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]]))
AGE = TaskOutcome("age", (), np.array([[31.25], [7.0]]))
FORMS = {name: TaskForm(classes) for name, classes in TASKS.items()}


def forms(cells: dict[str, list[str]], **said: object) -> dict[str, TaskForm]:
    """How tasks are written under these cells."""
    return task_forms("s.csv", cells, Wanted(tasks=TASKS, **said))  # type: ignore[arg-type]


def test_the_likeliest_class_is_the_label_and_a_value_is_itself() -> None:
    assert task_rows([AGE, MASK], FORMS, ["a", "b"]) == [
        {"mask": "wrong", "age": "31.25"}, {"mask": "wear", "age": "7"}
    ]  # fmt: skip


def test_labels_that_were_decided_stand_in_place_of_the_likeliest() -> None:
    decided = TaskOutcome("mask", MASK.classes, MASK.probs, np.array([2, 1]))
    (first, second) = task_rows([decided], {"mask": FORMS["mask"]}, ["a", "b"])
    assert (first, second) == ({"mask": "none"}, {"mask": "wrong"})


def test_classes_join_by_name_and_numbers_are_those_of_the_task() -> None:
    turned = TaskOutcome("mask", ("none", "wear", "wrong"), np.array([[0.0, 0.0, 1.0]]))
    numbered = {"mask": TaskForm(TASKS["mask"], by_number=True)}
    assert task_rows([turned], numbered, ["a"]) == [{"mask": "1"}]


def test_cells_tell_how_a_task_is_written() -> None:
    assert forms({"mask": ["wear", ""], "age": ["0.5"]}) == FORMS
    assert forms({"mask": ["0", "2"]}, labels_as="index")["mask"].by_number
    assert forms({"age": ["3"]}, rounding="nearest")["age"].rounding == "nearest"


@pytest.mark.parametrize(
    ("cells", "message"),
    [({"mask": ["0"]}, "task 'mask'.*--labels-as index"), ({"age": ["3"]}, "task 'age'.*--round")],
)
def test_cells_that_do_not_tell_ask_for_the_flag(cells: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        forms(cells)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([MASK], "asks for age, and only mask were predicted"),
        ([TaskOutcome("mask", ("wear", "none"), np.ones((2, 2))), AGE], "task 'mask'"),
        ([TaskOutcome("mask", MASK.classes, np.ones((1, 3))), AGE], "1 rows of"),
        (
            [MASK, TaskOutcome("age", (), np.array([[1.0], [np.nan]]))],
            "id 'b': the prediction is nan",
        ),
        ([TaskOutcome("mask", MASK.classes, np.full((2, 3), np.nan)), AGE], "id 'a'.*not finite"),
    ],
)
def test_what_was_not_predicted_as_asked_is_never_published(
    columns: list[TaskOutcome], message: str
) -> None:
    with pytest.raises(ContractError, match=f"{message}.*Nothing was published"):
        task_rows(columns, FORMS, ["a", "b"])


def test_no_tasks_leave_rows_without_cells() -> None:
    assert task_rows([], {}, ["a", "b"]) == [{}, {}]


def test_what_stands_in_is_said_for_each_task() -> None:
    assert filled_tasks("mask=none,age=30", FORMS) == {"mask": "none", "age": "30"}
    numbered = {"mask": TaskForm(TASKS["mask"], by_number=True)}
    assert filled_tasks("mask=none", numbered) == filled_tasks("mask=2", numbered) == {"mask": "2"}


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        ("none", "for each task: mask=…,age=…"),
        ("mask=none", "for each task"),
        ("mask=fox,age=3", "mask=fox: not one of wear, wrong, none"),
        ("mask=none,age=old", "age=old: the task is a value"),
        ("mask=none,age=inf", "age=inf: expected a finite number"),
    ],
)
def test_what_cannot_stand_in_is_refused(fill: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        filled_tasks(fill, FORMS)
