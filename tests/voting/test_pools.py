"""Ranks among reference scores, and what each pool does to its rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from ensemble.voting import pools


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_ranks_are_those_of_the_reference_to_a_quantile_and_a_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, fresh = rng.beta(0.3, 0.6, (2, 2, 800, 3))
    found = pools.ranked(fresh, pools.quantiles(reference))
    for family, c in np.ndindex(2, 3):
        exact = percentileofscore(reference[family, :, c], fresh[family, :, c], "mean") / 100
        np.testing.assert_allclose(
            found[family, :, c], exact, atol=1 / (pools.QUANTILES - 1) + 1 / 800
        )


def test_what_lies_in_one_place_has_the_mean_of_its_ranks() -> None:
    reference = np.array([0, 0, 0, 0, 0, 0, 0.5, 0.6, 0.7, 1.0]).reshape(1, 10, 1)
    found = pools.ranked(np.zeros((1, 1, 1)), pools.quantiles(reference))
    assert abs(found[0, 0, 0] - 0.3) < 0.05


def test_ranks_end_at_the_ends_of_the_reference() -> None:
    reference = np.linspace(0.2, 0.8, 50).reshape(1, 50, 1)
    knots = pools.quantiles(reference)
    outside = np.array([0.0, 0.2, 0.8, 1.0]).reshape(1, 4, 1)
    np.testing.assert_allclose(pools.ranked(outside, knots).ravel(), [0, 0, 1, 1])


def test_a_geometric_row_of_zeros_favours_no_class() -> None:
    assert pools.normalised(np.zeros((1, 4))).tolist() == [[0.25] * 4]
