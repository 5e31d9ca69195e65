"""Convex weights reach their optimum: against scipy, against EM, and on the golden fixture."""

from collections.abc import Callable

import numpy as np
import pytest
from blends import golden, many
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from ensemble.arrays import Indices
from ensemble.evaluation import metrics
from ensemble.tuning.convex import PoolFit, least_squares_pool, linear_pool, own_probs
from ensemble.tuning.log_linear import log_linear_pool
from ensemble.tuning.tempered import temperature_of, tempered_pool
from ensemble.voting import pools
from ensemble.voting.pools import Stack

FIXTURES = {"golden": golden(), "many": many(6, 800, 5), "few rows": many(8, 40, 3, seed=2)}
Fixture = tuple[Stack, Indices]


@pytest.fixture(params=FIXTURES)
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return FIXTURES[request.param]


def mixture_loss(weights: NDArray[np.float64], own: NDArray[np.float64]) -> float:
    return float(-np.log(own @ weights).mean())


def test_the_linear_pool_reaches_the_optimum_of_slsqp(fixture: Fixture) -> None:
    stack, y = fixture
    own = own_probs(stack, y)
    found = linear_pool(stack, y)
    scipy = minimize(
        mixture_loss,
        np.full(len(stack), 1 / len(stack)),
        args=(own,),
        jac=lambda w, q: -(q / (q @ w)[:, None]).mean(0),
        bounds=[(0, 1)] * len(stack),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert mixture_loss(found.weights, own) <= scipy.fun + 1e-8
    np.testing.assert_allclose(found.weights, scipy.x, atol=1e-4)


def test_the_gap_of_the_linear_pool_bounds_what_em_could_gain(fixture: Fixture) -> None:
    stack, y = fixture
    own = own_probs(stack, y)
    weights = np.full(len(stack), 1 / len(stack))
    for _ in range(5000):
        weights *= (own / (own @ weights)[:, None]).mean(0)
    found = linear_pool(stack, y)
    loss = mixture_loss(found.weights, own)
    assert found.gap <= 1e-9
    assert loss - found.gap <= mixture_loss(weights, own) + 1e-15
    assert loss <= mixture_loss(weights, own) + 1e-9


def test_the_linear_pool_reaches_the_golden_log_loss() -> None:
    stack, y = FIXTURES["golden"]
    found = linear_pool(stack, y)
    assert metrics.log_loss(y, pools.linear(stack, found.weights)) <= 0.450453


def test_the_log_linear_pool_reaches_the_golden_scores() -> None:
    stack, y = FIXTURES["golden"]
    probs = pools.log_linear(stack, log_linear_pool(stack, y, 0.0).weights)
    assert metrics.log_loss(y, probs) <= 0.298
    assert metrics.auc(y, probs) >= 0.9455


@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_the_log_linear_pool_reaches_the_optimum_of_lbfgs(fixture: Fixture, ridge: float) -> None:
    stack, y = fixture

    def loss(beta: NDArray[np.float64]) -> float:
        away = beta - beta.mean()
        return metrics.log_loss(y, pools.log_linear(stack, beta)) + ridge * float(away @ away)

    start = np.full(len(stack), 1 / len(stack))
    scipy = minimize(loss, start, bounds=[(0, None)] * len(stack), method="L-BFGS-B",
                     options={"maxfun": 100_000})  # fmt: skip
    found = log_linear_pool(stack, y, ridge)
    assert found.gap <= 1e-8
    assert loss(found.weights) <= scipy.fun + 1e-9


def test_the_tempered_pool_is_no_worse_than_uniform_weights_and_their_temperature(
    fixture: Fixture,
) -> None:
    stack, y = fixture
    uniform = pools.linear(stack, np.ones(len(stack)))
    plain = pools.tempered(uniform, temperature_of(uniform, y))
    found = tempered_pool(stack, y, 0.0)
    probs = pools.tempered(pools.linear(stack, found.weights), found.temperature)
    assert metrics.log_loss(y, probs) <= metrics.log_loss(y, plain) + 1e-9
    assert found.weights.min() >= 0
    assert found.weights.sum() == pytest.approx(1)


def test_a_strong_ridge_gives_uniform_weights(fixture: Fixture) -> None:
    stack, y = fixture
    uniform = np.full(len(stack), 1 / len(stack))
    np.testing.assert_allclose(tempered_pool(stack, y, 1e4).weights, uniform, atol=1e-3)
    beta = log_linear_pool(stack, y, 1e6).weights
    np.testing.assert_allclose(beta, beta.mean(), atol=1e-4)


def test_the_least_squares_pool_reaches_the_optimum_of_slsqp(fixture: Fixture) -> None:
    stack, y = fixture
    target = np.eye(stack.shape[2])[y]

    def loss(weights: NDArray[np.float64]) -> float:
        return metrics.brier(y, np.tensordot(weights, stack, 1))

    scipy = minimize(loss, np.full(len(stack), 1 / len(stack)), bounds=[(0, 1)] * len(stack),
                     constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, method="SLSQP",
                     options={"ftol": 1e-14, "maxiter": 500})  # fmt: skip
    found = least_squares_pool(stack, target)
    assert loss(found.weights) <= scipy.fun + 1e-9


@pytest.mark.parametrize("method", ["linear", "log-linear", "tempered", "squares"])
def test_the_order_of_the_families_does_not_matter(fixture: Fixture, method: str) -> None:
    stack, y = fixture
    order = np.random.default_rng(0).permutation(len(stack))

    def fit(families: Stack) -> NDArray[np.float64]:
        match method:
            case "linear":
                return linear_pool(families, y).weights
            case "log-linear":
                return log_linear_pool(families, y, 0.001).weights
            case "tempered":
                return tempered_pool(families, y, 0.001).weights
        return least_squares_pool(families, np.eye(stack.shape[2])[y]).weights

    np.testing.assert_allclose(fit(stack[order]), fit(stack)[order], atol=2e-4)


def clipped(rows: int = 400, classes: int = 4) -> Fixture:
    """Three families that give many classes next to nothing, or nothing; some of them wrongly."""
    rng = np.random.default_rng(6)
    y = rng.integers(0, classes, rows)
    scores = rng.normal(0, 12, (3, rows, classes)) + 22 * np.eye(classes)[y]
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares[shares < 1e-12] = 0
    return shares / shares.sum(-1, keepdims=True), y


def test_the_temperature_is_the_best_of_those_that_are_applied() -> None:
    stack, y = clipped()
    best = minimize_scalar(
        lambda t: metrics.log_loss(y, pools.tempered(stack[0], t)), bounds=(0.05, 20),
        method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    assert temperature_of(stack[0], y) == pytest.approx(best.x, rel=1e-4)


def test_the_tempered_pool_is_the_best_of_those_that_are_applied() -> None:
    stack, y = clipped()

    def loss(point: NDArray[np.float64]) -> float:
        return metrics.log_loss(y, pools.tempered(pools.linear(stack, point[:-1]), point[-1]))

    found = tempered_pool(stack, y, 0.0)
    reached = loss(np.append(found.weights, found.temperature))
    starts = [np.append(w, t) for w in (np.ones(3), *(np.eye(3) + 0.1)) for t in (1.0, 3.0)]
    searched = [minimize(loss, s, method="Nelder-Mead", bounds=[(1e-6, 20)] * 4) for s in starts]
    assert reached <= min(each.fun for each in searched) + 1e-3


def test_a_temperature_of_one_leaves_probabilities_as_they_are() -> None:
    stack, _ = clipped()
    np.testing.assert_array_equal(pools.tempered(stack[0], 1.0), stack[0])


def test_a_step_to_no_weights_at_all_is_taken_back() -> None:
    stack, y = many(5, 200, 4, seed=77)
    stack = stack**3 / (stack**3).sum(-1, keepdims=True)
    found = tempered_pool(stack, y, 0.002)  # its search tries all zeros
    probs = pools.tempered(pools.linear(stack, found.weights), found.temperature)
    plain = pools.linear(stack, np.ones(5))
    best = pools.tempered(plain, temperature_of(plain, y))
    assert metrics.log_loss(y, probs) <= metrics.log_loss(y, best) + 1e-3


METHODS: dict[str, Callable[[Stack, Indices], PoolFit]] = {
    "linear": linear_pool,
    "log-linear": lambda stack, y: log_linear_pool(stack, y, 0.01),
    "tempered": lambda stack, y: tempered_pool(stack, y, 0.01),
    "squares": lambda stack, y: least_squares_pool(stack, np.eye(stack.shape[2])[y], 0.01),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_copies_of_one_family_share_its_weight_and_change_no_prediction(
    method: Callable[[Stack, Indices], PoolFit],
) -> None:
    stack, y = many(1, 60, 3)
    twice = method(np.concatenate([stack, stack]), y)
    lone = method(stack, y)
    assert twice.weights.sum() == pytest.approx(lone.weights.sum(), rel=1e-3)
    assert twice.temperature == pytest.approx(lone.temperature, rel=1e-3)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_rows_that_stand_there_twice_weigh_as_once(
    method: Callable[[Stack, Indices], PoolFit],
) -> None:
    stack, y = many(3, 50, 3)
    twice = method(np.repeat(stack, 2, 1), np.repeat(y, 2))
    np.testing.assert_allclose(twice.weights, method(stack, y).weights, atol=1e-4)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_order_of_the_classes_does_not_matter(
    method: Callable[[Stack, Indices], PoolFit],
) -> None:
    stack, y = many(3, 80, 4)
    order = np.array([2, 0, 3, 1])
    turned = method(stack[..., order], np.argsort(order)[y])
    np.testing.assert_allclose(turned.weights, method(stack, y).weights, atol=1e-4)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_one_row_is_enough_for_a_fit(method: Callable[[Stack, Indices], PoolFit]) -> None:
    stack, y = many(3, 1, 3)
    found = method(stack, y)
    assert np.isfinite(found.weights).all()
    assert found.weights.min() >= 0


@pytest.mark.parametrize("method", ["linear", "squares"])
def test_a_lone_family_has_the_weight_1(method: str) -> None:
    stack, y = many(1, 30, 3)
    assert METHODS[method](stack, y).weights == pytest.approx([1.0])


def test_own_probabilities_are_those_of_a_loop() -> None:
    stack, y = many(3, 20, 4)
    expected = [[stack[m, n, y[n]] for m in range(3)] for n in range(20)]
    assert own_probs(stack, y).tolist() == expected


def test_a_family_that_is_always_sure_and_right_takes_all_of_a_linear_pool() -> None:
    stack, y = many(3, 40, 3)
    stack[1] = np.eye(3)[y]
    np.testing.assert_allclose(linear_pool(stack, y).weights, [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(
        least_squares_pool(stack, np.eye(3)[y]).weights, [0, 1, 0], atol=1e-5
    )


def test_zeros_for_the_true_class_by_all_families_leave_weights_that_are_finite() -> None:
    stack, y = many(3, 30, 3)
    stack[:, 0] = np.eye(3)[(y[0] + 1) % 3]
    found = linear_pool(stack, y)
    assert np.isfinite(found.weights).all()
    assert found.weights.sum() == pytest.approx(1)


def test_the_gap_bounds_the_distance_to_any_other_weights() -> None:
    stack, y = many(4, 100, 3)
    own, found = own_probs(stack, y), linear_pool(stack, y)
    reached = mixture_loss(found.weights, own)
    for weights in np.random.default_rng(0).dirichlet(np.ones(4), 200):
        assert mixture_loss(weights, own) >= reached - found.gap - 1e-12


def test_the_sum_of_exponents_is_the_inverse_temperature_of_a_lone_family() -> None:
    stack, y = many(1, 200, 3)
    (exponent,) = log_linear_pool(stack, y, 0.0).weights
    assert temperature_of(stack[0], y) == pytest.approx(1 / exponent, rel=1e-3)


@pytest.mark.parametrize("sharpness", [0.5, 2.0])
def test_a_power_of_probabilities_is_undone_by_the_temperature(sharpness: float) -> None:
    stack, y = many(1, 200, 3)
    plain = temperature_of(stack[0], y)
    powers = stack[0] ** sharpness
    found = temperature_of(powers / powers.sum(1, keepdims=True), y)
    assert found == pytest.approx(sharpness * plain, rel=1e-2)


@pytest.mark.parametrize("probs", [0.99, 0.501])
def test_rows_that_are_all_right_take_a_low_temperature_within_its_bounds(probs: float) -> None:
    sure = np.tile([probs, 1 - probs], (20, 1))
    assert 0.05 <= temperature_of(sure, np.zeros(20, np.int64)) < 0.5


def test_rows_that_are_all_wrong_take_the_highest_temperature() -> None:
    sure = np.tile([0.99, 0.01], (20, 1))
    assert temperature_of(sure, np.ones(20, np.int64)) == pytest.approx(20.0, rel=0.01)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_least_squares_of_two_families_is_the_closed_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stack, target = rng.normal(size=(2, 12, 2)), rng.normal(size=(12, 2))
    apart, gone = (stack[1] - stack[0]).ravel(), (target - stack[0]).ravel()
    share = np.clip(apart @ gone / (apart @ apart), 0, 1)
    found = least_squares_pool(stack, target).weights
    np.testing.assert_allclose(found, [1 - share, share], atol=1e-5)


def test_families_that_are_all_right_share_alike() -> None:
    target = np.ones((5, 1))
    np.testing.assert_allclose(least_squares_pool(np.ones((3, 5, 1)), target).weights, 1 / 3)


@pytest.mark.parametrize("ridge", [0.02, 0.5])
def test_the_tempered_pool_with_its_ridge_reaches_the_optimum_of_nelder_and_mead(
    ridge: float,
) -> None:
    stack, y = many(2, 150, 3)

    def loss(point: NDArray[np.float64]) -> float:
        probs = pools.tempered(pools.linear(stack, point[:2]), 1 / point[2])
        return metrics.log_loss(y, probs) + ridge * float(((point[:2] - 0.5) ** 2).sum())

    best = minimize(loss, [0.6, 0.4, 1.0], method="Nelder-Mead", bounds=[(1e-6, 9)] * 3,
                    options={"xatol": 1e-7, "fatol": 1e-12}).x  # fmt: skip
    found = tempered_pool(stack, y, ridge)
    np.testing.assert_allclose(found.weights, best[:2] / best[:2].sum(), atol=1e-3)
    assert found.temperature == pytest.approx(1 / best[2], rel=1e-3)
