"""What is to be said of tasks on their way to a vote."""

from dataclasses import replace

import numpy as np

from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.pipeline.tasks import answered_by, note_of_missing, notes_of
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks

AGE, MASK = LabelTask("age", ("<30", ">=30"), (30.0,)), LabelTask("mask", ("off", "on"))
ROWS = tuple((a, m) for a in AGE.classes for m in MASK.classes)
MAP = LabelMap(tuple("0123"), (AGE, MASK), ROWS)
THREE = LabelMap(tuple("012"), (AGE, MASK), ROWS[:3])


def tasks(label_map: LabelMap = MAP) -> TaskPredictions:
    years = Predictions(("a",), ("age",), {"net": np.array([[40.0]])}, task="regression")
    masks = Predictions(("a",), MASK.classes, {"net": np.array([[0.5, 0.5]])}, output="mask")
    return join_tasks([replace(years, output="age"), masks], label_map)


def test_values_without_a_spread_are_told_to_be_cut_hard() -> None:
    (told,) = notes_of(tasks(), {})
    assert told.startswith("net/age: its values are cut hard into the classes of age")


def test_values_with_a_spread_are_not() -> None:
    declared = replace(AGE, spread=3.0)
    assert notes_of(tasks(), {"net/age": 4.0}) == []
    assert notes_of(tasks(replace(MAP, tasks=(declared, MASK))), {}) == []


def test_combinations_without_a_label_are_counted_with_one_of_them() -> None:
    (told,) = note_of_missing(THREE)
    assert told.startswith("1 combination of classes without a label")
    assert told.endswith(">=30, on")
    assert note_of_missing(MAP) == []


def test_the_columns_of_each_task_are_recorded() -> None:
    assert answered_by(tasks().columns()) == {"age": ["net/age"], "mask": ["net/mask"]}
