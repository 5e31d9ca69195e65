"""Ranks among reference scores, and what each pool does to its rows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
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


# ---- pools, by slow loops

SEEDS = st.integers(0, 2**32 - 1)
M, N, C = 3, 6, 4


def stacked(seed: int, families: int = M) -> tuple[pools.Stack, NDArray[np.float64]]:
    """Probabilities (M, N, C) of which one class is 0 here and there, and weights (M,)."""
    rng = np.random.default_rng(seed)
    scores = rng.gamma(0.5, size=(families, N, C)) * (rng.random((families, N, C)) > 0.1)
    scores[..., 0] += 0.01
    return scores / scores.sum(-1, keepdims=True), rng.uniform(0.1, 3, families)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(scores) / np.exp(scores).sum()


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_the_linear_pool_is_the_weighted_mean(seed: int) -> None:
    stack, weights = stacked(seed)
    slow = [[sum(weights[m] * stack[m, n, c] for m in range(M)) / sum(weights) for c in range(C)]
            for n in range(N)]  # fmt: skip
    np.testing.assert_allclose(pools.linear(stack, weights), slow, rtol=1e-12)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_the_geometric_pool_is_the_product_of_powers(seed: int) -> None:
    stack, weights = stacked(seed)
    slow = [[math.prod(stack[m, n, c] ** (weights[m] / sum(weights)) for m in range(M))
             for c in range(C)] for n in range(N)]  # fmt: skip
    np.testing.assert_allclose(pools.geometric(stack, weights), slow, rtol=1e-9)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_the_log_linear_pool_is_a_softmax_of_weighted_logs(seed: int) -> None:
    stack, exponents = stacked(seed)
    floor = math.exp(pools.LOG_FLOOR)
    slow = [softmax(sum(exponents[m] * np.log(np.maximum(stack[m, n], floor)) for m in range(M)))
            for n in range(N)]  # fmt: skip
    np.testing.assert_allclose(pools.log_linear(stack, exponents), slow, rtol=1e-9)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_log_linear_labels_are_a_sigmoid_of_weighted_logits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stack, exponents = rng.uniform(0.01, 0.99, (M, N, C)), rng.uniform(0, 2, M)
    logits = np.tensordot(exponents, logit(stack), 1)
    np.testing.assert_allclose(pools.log_linear_labels(stack, exponents), expit(logits), rtol=1e-9)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_the_order_of_families_does_not_matter_to_a_pool(seed: int) -> None:
    stack, weights = stacked(seed)
    order = np.random.default_rng(seed).permutation(M)
    for pool in (pools.linear, pools.geometric, pools.geometric_or_linear, pools.log_linear):
        np.testing.assert_allclose(
            pool(stack[order], weights[order]), pool(stack, weights), rtol=1e-9, atol=1e-300
        )


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(0, M - 1))
def test_a_weight_of_nought_leaves_a_family_out(seed: int, out: int) -> None:
    stack, weights = stacked(seed)
    weights[out] = 0
    kept = [m for m in range(M) if m != out]
    for pool in (pools.linear, pools.geometric, pools.geometric_or_linear, pools.log_linear):
        np.testing.assert_allclose(
            pool(stack, weights), pool(stack[kept], weights[kept]), rtol=1e-9, atol=1e-300
        )


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_a_pool_of_one_family_is_that_family(seed: int) -> None:
    stack, weights = stacked(seed, families=1)
    for pool in (pools.linear, pools.geometric, pools.geometric_or_linear):
        np.testing.assert_allclose(pool(stack, weights), stack[0], atol=1e-12)


def test_one_family_excludes_a_class_from_a_geometric_pool_only() -> None:
    stack = np.array([[[0.0, 1.0]], [[0.5, 0.5]]])
    assert pools.geometric(stack, np.ones(2))[0, 0] == 0
    assert pools.linear(stack, np.ones(2))[0, 0] == 0.25
    assert 0 < pools.log_linear(stack, np.ones(2))[0, 0] < 1e-5


def test_the_product_of_means_is_not_the_mean_of_products() -> None:
    a, b = ([[0.9, 0.1], [0.1, 0.9], [0.55, 0.45]], [[0.9, 0.1], [0.1, 0.9], [0.45, 0.55]])
    joint = np.array([np.outer(x, y).ravel() for x, y in zip(a, b, strict=True)])[:, None]
    found = pools.linear(joint, np.ones(3))[0]
    np.testing.assert_allclose(found, [0.356, 0.161, 0.128, 0.356], atol=1e-3)
    mean = np.outer(np.mean(a, 0), np.mean(b, 0)).ravel()
    np.testing.assert_allclose(mean, [0.250, 0.267, 0.234, 0.250], atol=1e-3)


# ---- temperature and prior


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.floats(0.05, 20))
def test_a_temperature_moves_no_argmax_and_sums_to_one(seed: int, temperature: float) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.ones(C), N)
    found = pools.tempered(probs, temperature)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    rows = np.arange(N)
    assert (found[rows, probs.argmax(1)] >= found.max(1) - 1e-12).all()


def test_a_temperature_of_one_is_no_temperature() -> None:
    probs = np.array([[1.0, 0.0, 0.0]])
    assert pools.tempered(probs, 1.0) is probs


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_a_higher_temperature_flattens_and_a_lower_one_sharpens(seed: int) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.ones(C), N)
    highest = [pools.tempered(probs, t).max(1) for t in (0.5, 1.0, 2.0)]
    assert (highest[0] >= highest[1] - 1e-12).all()
    assert (highest[1] >= highest[2] - 1e-12).all()


def test_a_temperature_vetoes_no_class() -> None:
    for temperature in (0.5, 2.0):
        assert (pools.tempered(np.array([[1.0, 0.0]]), temperature) > 0).all()


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.floats(0, 2))
def test_a_prior_divides_each_class_by_its_power(seed: int, tau: float) -> None:
    rng = np.random.default_rng(seed)
    probs, prior = rng.dirichlet(np.ones(C), N), rng.uniform(0.05, 1, C)
    slow = [[p / prior[c] ** tau for c, p in enumerate(row)] for row in probs]
    expected = [[value / sum(row) for value in row] for row in slow]
    np.testing.assert_allclose(pools.with_prior(probs, prior, tau), expected, rtol=1e-9)


def test_a_flat_prior_changes_nothing() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(C), N)
    np.testing.assert_allclose(pools.with_prior(probs, np.full(C, 0.2), 0.7), probs, atol=1e-12)


# ---- cuts


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1, 4), min_size=1, max_size=9), st.lists(st.floats(0, 3), max_size=4))
def test_a_level_is_placed_by_the_cuts_at_or_below_it(
    levels: list[float], cuts: list[float]
) -> None:
    found = pools.cut(np.array(levels), np.array(sorted(cuts)))
    assert found.tolist() == [sum(c <= level for c in cuts) for level in levels]


def test_a_level_on_a_cut_belongs_above_it() -> None:
    assert pools.cut(np.array([29.999, 30.0, 60.0]), np.array([30.0, 60.0])).tolist() == [0, 1, 2]


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.permutations(range(C)))
def test_the_expected_level_follows_the_order_of_the_classes(seed: int, order: list[int]) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.ones(C), N)
    slow = [sum(order.index(c) * p for c, p in enumerate(row)) for row in probs]
    np.testing.assert_allclose(pools.expected_level(probs, order), slow, rtol=1e-12)


@pytest.mark.parametrize("order", [(), (2, 0, 3, 1)])
def test_a_sure_class_is_found_again_by_cuts_between_the_places(order: tuple[int, ...]) -> None:
    cuts = np.array([0.5, 1.5, 2.5])
    assert pools.by_cuts(np.eye(C), cuts, order).tolist() == list(range(C))


# ---- votes


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_votes_are_counted_by_weight(seed: int) -> None:
    stack, weights = stacked(seed)
    slow = np.zeros((N, C))
    for m, n in np.ndindex(M, N):
        slow[n, int(np.argmax(stack[m, n]))] += weights[m] / weights.sum()
    found = pools.vote_shares(stack, weights)
    np.testing.assert_allclose(found, slow, atol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("shares", "ties", "winner"),
    [
        ([0.5, 0.5, 0.0], [0.1, 0.2, 0.7], 1),
        ([0.5, 0.5, 0.0], [0.3, 0.3, 0.4], 0),
        ([0.5, 0.5 - 1e-12, 0.0], [0.1, 0.2, 0.7], 1),
        ([0.5, 0.49, 0.01], [0.1, 0.9, 0.0], 0),
        ([0.0, 0.0, 1.0], [0.5, 0.5, 0.0], 2),
    ],
)
def test_a_tie_is_broken_by_probability_and_then_by_the_lowest_class(
    shares: list[float], ties: list[float], winner: int
) -> None:
    assert pools.winners(np.array([shares]), np.array([ties])).tolist() == [winner]


def test_a_member_whose_maximum_is_shared_votes_for_the_lowest_class() -> None:
    found = pools.vote_shares(np.array([[[0.2, 0.4, 0.4]]]), np.ones(1))
    assert found.tolist() == [[0, 1, 0]]


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_rows_are_divided_by_their_sum(seed: int) -> None:
    values = np.random.default_rng(seed).random((N, C)) * 10.0 ** np.arange(-20, -20 + N)[:, None]
    expected = [[v / sum(row) for v in row] for row in values]
    np.testing.assert_allclose(pools.normalised(values), expected, rtol=1e-9)


def test_a_label_is_two_classes() -> None:
    found = pools.two_class(np.array([[[0.25, 1.0], [0.5, 0.0]]]))
    assert found.tolist() == [[[0.75, 0.25], [0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]]


# ---- ranks


def test_quantiles_ascend_from_the_least_score_to_the_greatest() -> None:
    stack, _ = stacked(0)
    knots = pools.quantiles(stack, 5)
    assert knots.shape == (M, C, 5)
    assert (np.diff(knots, axis=-1) >= 0).all()
    np.testing.assert_array_equal(knots[..., 0], stack.min(1))
    np.testing.assert_array_equal(knots[..., -1], stack.max(1))


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_a_rank_does_not_depend_on_the_other_rows(seed: int) -> None:
    stack, _ = stacked(seed)
    knots = pools.quantiles(stack, 7)
    together = pools.ranked(stack, knots)
    alone = [pools.ranked(stack[:, n : n + 1], knots)[:, 0] for n in range(N)]
    np.testing.assert_array_equal(together, np.stack(alone, 1))
    assert ((together >= 0) & (together <= 1)).all()


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_ranks_do_not_change_where_scores_are_stretched(seed: int) -> None:
    stack = np.random.default_rng(seed).random((M, 9, C))
    one = pools.ranked(stack, pools.quantiles(stack, 9))
    other = pools.ranked(stack * 7 + 3, pools.quantiles(stack * 7 + 3, 9))
    np.testing.assert_allclose(other, one, atol=1e-9)
