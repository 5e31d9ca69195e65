"""Of many rows the exponents are those of all, though few are solved; see test_convex for more."""

import numpy as np
import pytest
from blends import many
from numpy.typing import NDArray

from ensemble.arrays import Vector
from ensemble.tuning import log_linear
from ensemble.tuning.log_linear import log_linear_pool

STACK, Y = many(4, 6000, 5)
RIDGE = 1e-4


def curve_of(point: Vector) -> NDArray[np.float64]:
    """The curve of the loss at a point, by a loop over families."""
    logs = np.log(np.maximum(STACK, np.exp(-14)))
    scores = np.tensordot(point, logs, 1)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    means = (logs * shares).sum(2)
    return np.array([
        [(logs[j] * logs[k] * shares).sum(1).mean() - (means[j] * means[k]).mean()
         for k in range(len(STACK))]
        for j in range(len(STACK))
    ])  # fmt: skip


@pytest.mark.parametrize("few", [300, 1500])
def test_few_rows_lead_to_the_optimum_of_all(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No farther than a hundredth of a standard error."""
    exact = log_linear_pool(STACK, Y, RIDGE).weights
    monkeypatch.setattr(log_linear, "FEW", few)
    away = log_linear_pool(STACK, Y, RIDGE).weights - exact
    assert away.any()
    assert np.sqrt(len(Y) * away @ curve_of(exact) @ away) < 0.01


def test_where_few_rows_are_unlike_the_others_the_optimum_is_that_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = Y.copy()
    odd[::6] = (odd[::6] + 1) % 5  # every sixth row is wrong, and they are the few
    exact = log_linear_pool(STACK, odd, RIDGE).weights
    monkeypatch.setattr(log_linear, "FEW", 1000)
    np.testing.assert_allclose(log_linear_pool(STACK, odd, RIDGE).weights, exact, atol=1e-3)


def test_families_kept_as_float32_have_the_exponents_of_those_as_float64() -> None:
    exact = log_linear_pool(STACK, Y, RIDGE).weights
    found = log_linear_pool(STACK.astype(np.float32), Y, RIDGE).weights
    np.testing.assert_allclose(found, exact, atol=1e-5)
