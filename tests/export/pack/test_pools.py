"""Pools as nodes give what pools in NumPy give, at the oldest opset and a new one."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from packs import computed

from ensemble.export.pack import pools as nodes
from ensemble.runtime.merges import Builder
from ensemble.voting import pools

M, N, C = 3, 40, 5
RNG = np.random.default_rng(3)
SCORES = RNG.gamma(0.5, size=(M, N, C)) * (RNG.random((M, N, C)) > 0.15)
SCORES[..., 0] += 1e-9
STACK = SCORES / SCORES.sum(-1, keepdims=True)
STACK[:, 0] = np.eye(C)[[0, 1, 2]]  # families that exclude every class between them
WEIGHTS = RNG.uniform(0.1, 3, M)
Pool = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


@pytest.mark.parametrize("opset", [13, 21])
@pytest.mark.parametrize(
    "name", ["linear", "geometric", "geometric_or_linear", "log_linear", "log_linear_labels"]
)
def test_a_pool_is_that_of_numpy(name: str, opset: int) -> None:
    expected = getattr(pools, name)(STACK, WEIGHTS)
    make = getattr(nodes, name)
    found = computed(lambda build: make(build, "stack", WEIGHTS), {"stack": STACK}, opset)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_an_offset_is_added_to_the_logarithms() -> None:
    offset = RNG.normal(size=C)
    found = computed(
        lambda build: nodes.log_linear(build, "stack", WEIGHTS, offset), {"stack": STACK}
    )
    expected = pools.log_linear(STACK, WEIGHTS, offset)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_ranks_are_those_of_numpy_also_where_quantiles_lie_in_one_place() -> None:
    reference = np.round(RNG.beta(0.3, 0.6, (1, 500, C)), 1)
    knots = pools.quantiles(reference)
    fresh = np.concatenate([RNG.beta(0.3, 0.6, (1, N, C)), reference[:, :50]], axis=1)
    found = computed(lambda build: nodes.ranked(build, "scores", knots[0]), {"scores": fresh[0]})
    np.testing.assert_allclose(found, pools.ranked(fresh, knots)[0], atol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 1, 2.5])
def test_a_temperature_is_that_of_numpy(temperature: float) -> None:
    found = computed(lambda build: nodes.tempered(build, "probs", temperature), {"probs": STACK[0]})
    expected = pools.tempered(STACK[0], temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_a_prior_is_that_of_numpy() -> None:
    prior = RNG.dirichlet(np.ones(C))
    found = computed(
        lambda build: nodes.with_prior(build, "probs", prior, 0.7), {"probs": STACK[0]}
    )
    np.testing.assert_allclose(found, pools.with_prior(STACK[0], prior, 0.7), rtol=1e-12)


@pytest.mark.parametrize("order", [(), (3, 0, 4, 1, 2)])
def test_cuts_of_the_mean_class_are_those_of_numpy(order: tuple[int, ...]) -> None:
    cuts = (0.4, 1.1, 1.9, 3.0)
    found = computed(lambda build: nodes.by_cuts(build, "probs", cuts, order), {"probs": STACK[0]})
    assert found.tolist() == pools.by_cuts(STACK[0], np.array(cuts), order).tolist()


def test_what_lies_on_a_cut_is_above_it() -> None:
    levels = np.array([[1.0], [1.9], [2.0]])
    found = computed(lambda build: nodes.cut(build, "levels", (1.0, 2.0)), {"levels": levels})
    assert found.tolist() == [1, 1, 2]


def test_winners_are_those_of_numpy_also_where_shares_tie() -> None:
    shares = RNG.integers(0, 3, (200, C)) / 4 + 1e-12 * RNG.random((200, C))
    ties = np.round(RNG.random((200, C)), 1)
    found = computed(
        lambda build: nodes.winners(build, "shares", "ties"), {"shares": shares, "ties": ties}
    )
    assert found.tolist() == pools.winners(shares, ties).tolist()


def test_of_equal_scores_the_lowest_class_is_the_best() -> None:
    scores = np.array([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0]])
    found = computed(lambda build: nodes.best(build, "scores"), {"scores": scores})
    assert found.tolist() == [1, 0]


def test_a_place_is_a_row_with_a_one() -> None:
    def rows(build: Builder) -> str:
        return nodes.one_hot(build, "places", 3)

    found = computed(rows, {"places": np.array([2, 0])})
    assert found.tolist() == [[0, 0, 1], [1, 0, 0]]
