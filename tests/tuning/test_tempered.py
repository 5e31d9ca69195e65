"""Of many rows weights and temperature are those of all; see test_convex for more."""

import numpy as np
import pytest
from blends import many
from scipy.optimize import minimize

from ensemble.arrays import Vector
from ensemble.evaluation import metrics
from ensemble.tuning import tempered
from ensemble.tuning.tempered import tempered_pool
from ensemble.voting import pools

STACK, Y = many(4, 6000, 5)
RIDGE = 1e-4


def loss(point: Vector) -> float:
    """The loss of weights and a temperature."""
    return metrics.log_loss(Y, pools.tempered(pools.linear(STACK, point[:-1]), point[-1]))


@pytest.mark.parametrize("few", [300, 1500])
def test_few_rows_lead_to_the_optimum_of_all(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempered, "FEW", few)
    found = tempered_pool(STACK, Y, 0.0)
    reached = np.append(found.weights, found.temperature)
    best = minimize(loss, reached, method="Nelder-Mead", bounds=[(1e-6, 20)] * 5,
                    options={"xatol": 1e-7, "fatol": 1e-13, "maxiter": 4000})  # fmt: skip
    assert loss(reached) <= best.fun + 1e-4 / (2 * len(Y))  # a hundredth of a standard error


def test_where_few_rows_are_unlike_the_others_the_optimum_is_that_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = Y.copy()
    odd[::6] = (odd[::6] + 1) % 5  # every sixth row is wrong, and they are the few
    exact = tempered_pool(STACK, odd, RIDGE)
    monkeypatch.setattr(tempered, "FEW", 1000)
    found = tempered_pool(STACK, odd, RIDGE)
    np.testing.assert_allclose(found.weights, exact.weights, atol=5e-3)
    assert found.temperature == pytest.approx(exact.temperature, rel=1e-3)
