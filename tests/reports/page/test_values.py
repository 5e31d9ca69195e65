"""Values on a page: errors of each target, and charts of the first few."""

import numpy as np
import pytest
from pages import tables

from ensemble.reports.page.blocks import Chart
from ensemble.reports.page.values import TARGETS, value_blocks
from ensemble.reports.scorecard import Compared

RNG = np.random.default_rng(0)


def compared(targets: int) -> Compared:
    truth, given = RNG.random((30, targets)), RNG.random((30, targets))
    names = tuple(f"t{n}" for n in range(targets))
    ids = tuple(map(str, range(30)))
    return Compared(ids, names, truth, given, None, "regression", labels_only=False)


def test_each_target_has_its_own_errors() -> None:
    own = compared(2)
    (table,) = tables(value_blocks(own))
    away = own.given - own.truth
    assert [float(row[1].exact) for row in table.rows] == pytest.approx(np.sqrt((away**2).mean(0)))
    assert [float(row[2].exact) for row in table.rows] == pytest.approx(np.abs(away).mean(0))
    assert [float(row[3].exact) for row in table.rows] == pytest.approx(away.mean(0))


def test_many_targets_have_few_charts() -> None:
    blocks = value_blocks(compared(TARGETS + 3))
    assert sum(isinstance(block, Chart) for block in blocks) == 2 * TARGETS
