"""Predictions of several tasks: joined by id, never by an inner join, averaged before cut."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.errors import ContractError, UsageError
from ensemble.files.label_maps import read_label_map
from ensemble.files.text_table import TextTable
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.predictions.formats import read_parts
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import join_tasks
from ensemble.records import Ordinal, Quarantined, Task
from ensemble.voting.joint import fuse_tasks

AGE = LabelTask("age", ("<30", "30-59", ">=60"), (30.0, 60.0), 4.0)
MASK = LabelTask("mask", ("off", "on"))
ROWS = tuple((a, m) for a in AGE.classes for m in MASK.classes)
MAP = LabelMap(tuple("012345"), (AGE, MASK), ROWS)
IDS = ("a", "b")

Value = TypeVar("Value")


def part(
    head: str, classes: tuple[str, ...], *rows: list[float], family: str = "net",
    task: Task = "classification", ids: tuple[str, ...] = IDS,
) -> Predictions:  # fmt: skip
    return Predictions(ids, classes, {family: np.array(rows)}, task=task, output=head)


MASKS = part("mask", ("on", "off"), [0.9, 0.1], [0.2, 0.8])
AGES = part("age", ("age",), [45.0], [30.0], family="years", task="regression")


def only_mask(*ids: str) -> Predictions:
    return part("mask", ("off", "on"), *([0.5, 0.5] for _ in ids), ids=ids)


def test_columns_are_the_tasks_classes_in_their_order() -> None:
    found = {each.name: each for each in join_tasks([MASKS, AGES], MAP).columns()}
    assert found["net"].probs.tolist() == [[0.1, 0.9], [0.8, 0.2]]
    assert found["years"].task == "age"


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


def ranks(ordinal: Ordinal, *rows: list[float]) -> Predictions:
    given = part("age", (">=60", "30-59"), *rows, family="ranks", task="multilabel", ids=("a",))
    return replace(given, ordinal=ordinal)


def test_what_they_are_is_kept_in_the_file(tmp_path: Path) -> None:
    joined = join_tasks([ranks("cumulative", [0.2, 0.8]), only_mask("a")], MAP)
    joined.save(tmp_path / "oof.parquet")
    again = join_tasks(read_parts(tmp_path / "oof.parquet"), MAP)
    for mine, its in zip(again.columns(), joined.columns(), strict=True):
        assert mine.probs == pytest.approx(its.probs, abs=1e-7)


@given(st.data())
def test_no_order_of_anything_changes_a_label_or_a_bit(data: st.DataObject) -> None:
    """Rows of the map, tasks, parts, families and classes, in any order that hypothesis finds."""
    rng = np.random.default_rng(0)

    def shuffled(things: Sequence[Value]) -> list[Value]:
        return data.draw(st.permutations(list(things)))

    def read(task: LabelTask, families: Sequence[str], *, turned: bool) -> Predictions:
        probs = {name: known[task.name, name] for name in families}
        names = shuffled(task.classes) if turned else list(task.classes)
        columns = [task.classes.index(name) for name in names]
        order = shuffled(families) if turned else families
        turns = {name: probs[name][:, columns] for name in order}
        return Predictions(("a", "b", "c"), tuple(names), turns, output=task.name)

    known = {
        (task.name, name): rng.dirichlet(np.ones(len(task.classes)), 3)
        for task in MAP.tasks
        for name in ("x", "y")
    }
    plain = join_tasks([read(task, ("x", "y"), turned=False) for task in MAP.tasks], MAP)
    expected = fuse_tasks(plain.columns(), (), MAP, "soft", None)
    lines = [dict(zip(("label", *MAP.names), (name, *row), strict=True))
             for name, row in zip(MAP.labels, MAP.rows, strict=True)]  # fmt: skip
    header = shuffled(("label", *MAP.names))
    table = TextTable("map", tuple(header), tuple(
        tuple(line[name] for name in header) for line in shuffled(lines)))  # fmt: skip
    turned = read_label_map(table, "age = {spread = 4}")
    parts = shuffled([read(task, ("x", "y"), turned=True) for task in MAP.tasks])
    columns = shuffled(join_tasks(parts, turned).columns())
    found = fuse_tasks(columns, (), turned, "soft", None)
    assert np.array_equal(found.probs, expected.probs)
    assert found.labels.tolist() == expected.labels.tolist()
