"""Decision rules equal brute force, and searches never lose."""

import itertools

import numpy as np
import pytest
from blends import golden
from hypothesis import given
from hypothesis import strategies as st

from ensemble.evaluation import metrics
from ensemble.tuning import decisions
from ensemble.voting import pools

seeds = st.integers(0, 10**6)


@given(seed=seeds, classes=st.integers(2, 4))
def test_cut_points_equal_brute_force(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, 9)
    y[:2] = 0, classes - 1
    levels = np.round(y + rng.normal(0, 1.2, 9), 1)
    edges = np.unique(levels)
    between = [edges[0] - 1, *((edges[1:] + edges[:-1]) / 2), edges[-1] + 1]

    def kappa(cuts: tuple[float, ...]) -> float:
        label = pools.cut(levels, np.array(cuts))
        return metrics.kappa_of(metrics.confusion(y, label, classes))

    expected = max(
        kappa(cuts) for cuts in itertools.combinations_with_replacement(between, classes - 1)
    )
    found = decisions.cut_points(y, levels, classes)
    assert kappa(tuple(found)) == pytest.approx(expected, abs=1e-12)


@given(seed=seeds)
def test_label_thresholds_equal_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (12, 3))
    y[0] = 1
    probs = np.round(np.clip(0.3 * y + 0.7 * rng.random((12, 3)), 0, 1), 1)
    found = decisions.label_thresholds(y, probs)

    def score(column: int, threshold: float) -> float:
        chosen = probs[:, column] >= threshold
        right = (chosen & (y[:, column] == 1)).sum()
        return float(2 * right / max(chosen.sum() + y[:, column].sum(), 1))

    for c in range(3):
        expected = max(score(c, t) for t in np.unique(probs[:, c]))
        assert score(c, found[c]) == pytest.approx(expected, abs=1e-12)


@given(seed=seeds)
def test_the_exponent_of_the_prior_equals_a_fine_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(3), rng.choice(3, 40, p=[0.8, 0.15, 0.05])])
    probs = rng.dirichlet([3, 1, 0.6], 43) + 0.2 * np.eye(3)[y]
    probs /= probs.sum(1, keepdims=True)
    prior = np.bincount(y) / len(y)
    tau = decisions.prior_exponent("f1_macro", y, probs, prior)
    grid = [metrics.f1_macro(y, pools.with_prior(probs, prior, t)) for t in np.linspace(0, 1, 999)]
    found = metrics.f1_macro(y, pools.with_prior(probs, prior, tau))
    assert found >= max(grid) - 1e-12


def test_a_prior_that_is_uniform_needs_no_exponent() -> None:
    stack, y = golden()
    assert decisions.prior_exponent("accuracy", y, stack[0], np.full(2, 0.5)) == 0
