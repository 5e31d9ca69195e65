"""Calibration on a page is that of the bins."""

from dataclasses import replace

import numpy as np
import pytest
from pages import CLASSES, card_of, given, tables

from ensemble.evaluation.reliability import calibration_error, reliability
from ensemble.reports.page.blocks import Chart, Facts
from ensemble.reports.page.calibration import calibration_blocks, calibration_of, told_and_right
from ensemble.reports.scorecard import Compared

PROBS = given(200)
TRUTH = [CLASSES[n % 3] for n in range(200)]


def compared() -> Compared:
    found = card_of(TRUTH, PROBS).compared
    assert found is not None
    return found


def test_the_table_has_the_bins_and_the_fact_the_error() -> None:
    blocks = calibration_blocks(compared())
    sure, right = told_and_right(compared())
    (table,) = tables(blocks)
    bins = reliability(sure, right)
    assert [int(row[1].exact) for row in table.rows] == [each.rows for each in bins]
    assert [float(row[3].exact) for row in table.rows] == [each.right for each in bins]
    facts = next(block for block in blocks if isinstance(block, Facts)).facts
    assert float(facts[0].shown.exact) == calibration_error(right, sure[:, None])
    assert any(isinstance(block, Chart) for block in blocks)


def test_the_error_has_an_interval_which_holds_it() -> None:
    error = calibration_of(compared(), *told_and_right(compared()))
    assert error.interval is not None
    assert error.interval[0] <= error.score <= error.interval[1]


def test_labels_of_their_own_count_each_probability() -> None:
    own = replace(compared(), task="multilabel", truth=np.eye(3)[[n % 3 for n in range(200)]])
    sure, right = told_and_right(own)
    assert sure == pytest.approx(PROBS.ravel())
    assert right.sum() == 200
    assert calibration_of(own, sure, right).interval is not None
