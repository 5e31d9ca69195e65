"""Numbers of predictions are probabilities as far as their digits tell, or it is said why not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.arrays import Indices
from ensemble.errors import UsageError
from ensemble.predictions.row_values import Rows, check_predicted, checked_values, sum_to_one
from ensemble.records import Task

FOLDS = np.array([0, 1, 2, 0, 1, 2])


def rows_of(
    task: Task = "classification", classes: int = 3, folds: Indices | None = None, rows: int = 6
) -> Rows:
    ids = [f"r{n}" for n in range(rows)]
    return Rows("x.csv: x", ids, [f"c{n}" for n in range(classes)], folds, task)


def probs(classes: int, rows: int = 500) -> NDArray[np.float64]:
    return np.random.default_rng(0).dirichlet(np.ones(classes), rows)


@pytest.mark.parametrize("classes", [3, 10, 19])
@pytest.mark.parametrize("digits", [2, 3, 4])
def test_rows_that_were_rounded_are_divided_by_their_sum(classes: int, digits: int) -> None:
    rounded = np.round(probs(classes), digits)
    found, rescaled, notes = checked_values(rows_of(classes=classes, rows=500), rounded)
    np.testing.assert_allclose(found.sum(1), 1)
    assert rescaled == (np.abs(rounded.sum(1) - 1) > 1e-6).sum() > 0
    assert not notes


def test_what_is_not_rounded_may_be_off_as_float16_is_and_no_further() -> None:
    exact = probs(10)
    assert sum_to_one(exact * 1.001)
    assert not sum_to_one(exact * 1.01)
    assert not sum_to_one(np.round(exact, 2) * 0.5)


def test_rows_far_down_tell_that_a_file_was_not_rounded() -> None:
    exact = probs(10, 1500)
    rounded = np.append(np.round(exact[:1200], 2), exact[1200:] * 0.99, 0)
    assert sum_to_one(rounded[:1200])
    assert not sum_to_one(rounded)
    whole = np.append(np.eye(10)[np.arange(1200) % 10], np.round(exact[1200:], 2), 0)
    assert sum_to_one(whole)


def test_too_coarse_a_rounding_is_told_as_such() -> None:
    with pytest.raises(UsageError, match="rounded to 2 digits: write more of them"):
        checked_values(rows_of(classes=300, rows=500), np.round(probs(300), 2))


def test_logits_are_told_from_a_column_that_is_no_class() -> None:
    with pytest.raises(UsageError, match="Apply the softmax first"):
        checked_values(rows_of(), np.random.default_rng(0).normal(0, 3, (6, 3)))
    with pytest.raises(UsageError, match="Without c3 the rows sum to 1: is it no class"):
        checked_values(rows_of(classes=4), np.column_stack([probs(3, 6), np.arange(6) + 20.0]))
    with pytest.raises(UsageError) as caught:
        checked_values(rows_of(), probs(3, 6) * 0.7)
    assert "softmax" not in str(caught.value)


def test_percentages_are_told_as_such() -> None:
    with pytest.raises(
        UsageError, match=r"'r0' sums to 100\. They are percentages: divide them by"
    ):
        checked_values(rows_of(), probs(3, 6) * 100)


def test_a_column_between_0_and_1_that_is_no_class_is_named() -> None:
    """The largest probability of each row, as a column of its own."""
    found = probs(3, 6)
    with pytest.raises(UsageError, match="Without c3 the rows sum to 1: is it no class"):
        checked_values(rows_of(classes=4), np.column_stack([found, found.max(1)]))


def test_a_few_rows_of_another_number_need_no_softmax() -> None:
    values = np.where(np.arange(6)[:, None] == 4, -1, probs(3, 6))
    with pytest.raises(UsageError, match=r"for 1 rows; 'r4' sums to -3\. The other rows sum to 1"):
        checked_values(rows_of(), values)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_a_fold_of_zeros_was_never_predicted(task: Task) -> None:
    values = np.where((FOLDS == 1)[:, None], 0, probs(3, 6))
    with pytest.raises(UsageError, match=r"zero in every column for 2 rows, such as r1, r4: those "
                       r"of the folds 1, which were never predicted"):  # fmt: skip
        checked_values(rows_of(task, folds=FOLDS), values)


def test_a_fold_of_nan_was_never_predicted() -> None:
    values = np.where((FOLDS == 2)[:, None], np.nan, probs(3, 6))
    with pytest.raises(UsageError, match="NaN or infinite for r2, r5: the folds 2 were never"):
        checked_values(rows_of("regression", folds=FOLDS), values)


def test_zeros_without_folds_are_noted_where_they_may_be_meant() -> None:
    values = np.where((FOLDS == 1)[:, None], 0, probs(3, 6))
    for task in ("multilabel", "regression"):
        assert "zero in every column for 2 rows" in check_predicted(rows_of(task), values)[0]
    with pytest.raises(UsageError, match="were never predicted"):
        check_predicted(rows_of(), values)


def test_zeros_among_whole_numbers_are_values_like_others() -> None:
    labels = np.array([[0, 0, 0], [1, 0, 1], [0, 1, 0]] * 2, float)
    assert check_predicted(rows_of("multilabel"), labels) == []
