"""Reliability: bins of equal mass, Wilson's interval, and the calibration error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.evaluation.reliability import FEW, MOST, calibration_error, reliability, wilson


def test_wilsons_interval_is_that_of_his_paper() -> None:
    # Newcombe 1998, table I: 81 of 263 without correction
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@given(st.integers(1, 200), st.data())
def test_an_interval_holds_its_share_and_lies_within_0_and_1(
    rows: int, data: st.DataObject
) -> None:
    right = data.draw(st.integers(0, rows))
    low, high = wilson(right, rows)
    assert 0 <= low <= right / rows + 1e-12
    assert right / rows - 1e-12 <= high <= 1


def test_bins_hold_all_rows_in_about_equal_parts_from_the_least_confidence_on() -> None:
    sure = np.random.default_rng(0).random(1000)
    bins = reliability(sure, (sure > 0.5).astype(np.float64))
    assert len(bins) == MOST
    assert sum(each.rows for each in bins) == 1000
    assert max(each.rows for each in bins) - min(each.rows for each in bins) <= 2
    assert sorted(each.confidence for each in bins) == [each.confidence for each in bins]


def test_few_rows_make_as_many_bins_as_have_enough_of_them() -> None:
    sure = np.linspace(0, 1, 3 * FEW)
    assert [each.rows for each in reliability(sure, sure.round())] == [FEW] * 3
    assert [each.rows for each in reliability(sure[:5], sure[:5].round())] == [5]


def test_equal_confidences_are_in_one_bin() -> None:
    assert [each.rows for each in reliability(np.ones(900), np.ones(900))] == [900]


def test_the_error_is_the_mean_over_rows_of_how_far_their_bin_is_off() -> None:
    sure = np.random.default_rng(1).random(400)
    right = (np.random.default_rng(2).random(400) < sure**2).astype(np.float64)
    bins = reliability(sure, right)
    slow = sum(each.rows * abs(each.right - each.confidence) for each in bins) / 400
    assert calibration_error(right, sure[:, None]) == pytest.approx(slow, abs=1e-12)


def test_confidences_that_are_always_met_have_no_error() -> None:
    sure = np.repeat([0.25, 0.75], 40)
    right = np.concatenate([np.arange(40) % 4 == 0, np.arange(40) % 4 != 0]).astype(np.float64)
    assert calibration_error(right, sure[:, None]) == pytest.approx(0, abs=1e-12)
