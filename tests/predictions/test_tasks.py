"""Predictions of several tasks: joined by id, never by an inner join, averaged before cut."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from ensemble.errors import ContractError, UsageError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import join_tasks
from ensemble.records import MemberId, Quarantined, Task

AGE = LabelTask("age", ("<30", "30-59", ">=60"), (30.0, 60.0), 4.0)
MASK = LabelTask("mask", ("off", "on"))
ROWS = tuple((a, m) for a in AGE.classes for m in MASK.classes)
MAP = LabelMap(tuple("012345"), (AGE, MASK), ROWS)
IDS = ("a", "b")


def part(
    head: str, classes: tuple[str, ...], *rows: list[float], family: str = "net",
    task: Task = "classification", ids: tuple[str, ...] = IDS,
) -> Predictions:  # fmt: skip
    return Predictions(ids, classes, {family: np.array(rows)}, task=task, output=head)


MASKS = part("mask", ("on", "off"), [0.9, 0.1], [0.2, 0.8])
AGES = part("age", ("age",), [45.0], [30.0], family="years", task="regression")


def folds(*values: float) -> Predictions:
    """Predictions of a value by the folds of one family, for one image."""
    names = [f"years-f{fold}" for fold in range(len(values))]
    sources = tuple(
        RecordedMember(MemberId(name, "years", fold, name), None) for fold, name in enumerate(names)
    )
    columns = {name: np.array([[value]]) for name, value in zip(names, values, strict=True)}
    return Predictions(("a",), ("age",), columns, task="regression", output="age", sources=sources)


def only_mask(*ids: str) -> Predictions:
    return part("mask", ("off", "on"), *([0.5, 0.5] for _ in ids), ids=ids)


def test_columns_are_the_tasks_classes_in_their_order() -> None:
    found = {each.name: each for each in join_tasks([MASKS, AGES], MAP).columns()}
    assert found["net"].probs.tolist() == [[0.1, 0.9], [0.8, 0.2]]
    assert found["years"].task == "age"


def test_the_folds_of_a_family_are_averaged_in_years_before_they_are_cut() -> None:
    joined = join_tasks([folds(25.0, 65.0), only_mask("a")], MAP)
    (years,) = [each for each in joined.columns() if each.family == "years"]
    assert years.values is not None
    assert years.values.tolist() == [45.0]
    assert years.probs[0].argmax() == 1
    assert years.probs[0, 1] > 0.999  # the mean of their classes would be .447 .106 .447


def test_each_member_votes_by_its_own_value() -> None:
    joined = join_tasks([folds(25.0, 65.0), only_mask("a")], MAP)
    voters = [each for each in joined.voters() if each.family == "years"]
    assert [each.probs[0].argmax() for each in voters] == [0, 2]


def test_a_spread_of_the_column_goes_before_the_tasks() -> None:
    joined = join_tasks([folds(57.9), only_mask("a")], MAP)
    told = {each.name: each.probs for each in joined.columns({"years": 0.5})}
    plain = {each.name: each.probs for each in joined.columns()}
    assert plain["years"][0] == pytest.approx([0, 0.7002, 0.2998], abs=1e-4)
    assert told["years"][0] == pytest.approx([0, 1, 0], abs=1e-4)


def test_rows_are_joined_by_id_and_no_order_of_parts_changes_a_bit() -> None:
    turned = replace(AGES, ids=("b", "a"), families={"years": AGES.families["years"][::-1]})
    expected = [each.probs for each in join_tasks([MASKS, AGES], MAP).columns()]
    for parts in permutations([MASKS, turned]):
        found = join_tasks(parts, MAP)
        order = [found.ids.index(name) for name in IDS]
        for mine, its in zip(found.columns(), expected, strict=True):
            assert np.array_equal(mine.probs[order], its)


def test_parts_of_other_rows_are_refused_with_both_lists() -> None:
    other = part("age", ("age",), [45.0], [3.0], task="regression", ids=("b", "c"))
    with pytest.raises(ContractError, match=r"only the first has c.*only the second has a") as no:
        join_tasks([other, MASKS], MAP)
    assert "head age" in str(no.value)


def test_what_one_part_has_quarantined_has_no_row() -> None:
    lost = Quarantined("b", "b.png", "decode", "ImageError", "torn", "", 0)
    held = part("age", ("age",), [45.0], task="regression", ids=("a",))
    found = join_tasks([MASKS, replace(held, quarantined=(lost,))], MAP)
    assert found.ids == ("a",)
    assert [q.id for q in found.label.quarantined] == ["b"]
    assert all(len(each.probs) == 1 for each in found.columns())


def test_parts_of_other_folds_are_refused() -> None:
    one = replace(MASKS, folds=np.array([0, 1]))
    with pytest.raises(UsageError, match="split into other folds: 'b' is in two"):
        join_tasks([one, replace(AGES, folds=np.array([0, 0]))], MAP)


def test_a_task_that_no_part_answers_is_named() -> None:
    with pytest.raises(UsageError, match="no member answers the task age"):
        join_tasks([MASKS], MAP)


def test_a_family_that_answers_a_task_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="family net answers mask twice"):
        join_tasks([MASKS, part("label", ("off", "on"), [0.5, 0.5], [0.5, 0.5]), AGES], MAP)


def test_it_says_of_which_tasks_and_columns_it_is() -> None:
    told = repr(join_tasks([MASKS, AGES], MAP))
    assert "2 rows for the tasks age, mask: net, years" in told
