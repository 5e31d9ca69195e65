"""Rows are taken so many at a time, each once and in order, whatever their number."""

import numpy as np
import pytest
from tables import CLASSES, IDS, oof, probs

from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.predictions.slices import in_memory, row_slices, rows_of_slice, task_slices
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import join_tasks


@pytest.mark.parametrize("columns", [0, 1, 3, 108, 1000, 1 << 30])
def test_a_slice_has_a_power_of_two_of_rows_that_fit(columns: int) -> None:
    rows = rows_of_slice(columns)
    assert rows.bit_count() == 1
    assert rows == 1024 or 8 * rows * max(columns, 1) <= 1 << 24


@pytest.mark.parametrize(("count", "rows"), [(0, 3), (1, 3), (3, 3), (4, 3), (9, 1), (9, 100)])
def test_slices_hold_each_row_once(count: int, rows: int) -> None:
    found = row_slices(count, rows)
    assert [n for at in found for n in range(count)[at]] == list(range(count))
    assert len(found) == max(1, -(-count // rows))


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_predictions_in_memory_are_slices_of_themselves(rows: int) -> None:
    found = [own for (own,) in in_memory(oof())(rows)]
    assert {(own.name, own.family) for own in found} == {("ant", "ant")}
    np.testing.assert_array_equal(np.concatenate([own.probs for own in found]), probs())


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_tasks_are_slices_of_every_part(rows: int) -> None:
    kinds = LabelTask("kind", CLASSES)
    told = LabelMap(CLASSES, (kinds,), tuple((name,) for name in CLASSES))
    tasks = join_tasks([Predictions(IDS, CLASSES, {"ant": probs()}, np.arange(4))], told)
    found = [part for own in task_slices(tasks, rows) for part in own.parts]
    assert tuple(name for part in found for name in part.ids) == IDS
    np.testing.assert_array_equal(np.concatenate([part.families["ant"] for part in found]), probs())
    assert [int(fold) for part in found if part.folds is not None for fold in part.folds] == [
        0, 1, 2, 3,
    ]  # fmt: skip
