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


@pytest.mark.parametrize("worth", [(), (0, 1, 4, 6)])
@given(seed=seeds, classes=st.integers(2, 4))
def test_cut_points_equal_brute_force(seed: int, classes: int, worth: tuple[int, ...]) -> None:
    worth = worth[:classes]
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, 9)
    y[:2] = 0, classes - 1
    levels = np.round(y + rng.normal(0, 1.2, 9), 1)
    edges = np.unique(levels)
    between = [edges[0] - 1, *((edges[1:] + edges[:-1]) / 2), edges[-1] + 1]

    def kappa(cuts: tuple[float, ...]) -> float:
        label = pools.cut(levels, np.array(cuts))
        return metrics.kappa_of(metrics.confusion(y, label, classes), worth or None)

    expected = max(
        kappa(cuts) for cuts in itertools.combinations_with_replacement(between, classes - 1)
    )
    found = decisions.cut_points(y, levels, classes, worth)
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


@given(seed=seeds)
def test_thresholds_take_each_label_by_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, probs = rng.integers(0, 2, (10, 3)), rng.random((10, 3))
    together = decisions.label_thresholds(y, probs)
    alone = [decisions.label_thresholds(y[:, [c]], probs[:, [c]])[0] for c in range(3)]
    assert together.tolist() == alone


def test_a_threshold_lies_halfway_between_the_rows_that_it_parts() -> None:
    y, probs = np.array([[1], [1], [0]]), np.array([[0.9], [0.8], [0.2]])
    assert decisions.label_thresholds(y, probs) == pytest.approx([0.5])


def test_a_label_that_every_row_has_takes_all_rows() -> None:
    probs = np.array([[0.9], [0.4], [0.2]])
    (threshold,) = decisions.label_thresholds(np.ones((3, 1), np.int64), probs)
    assert threshold == pytest.approx(0.1)


def test_rows_that_tie_are_on_one_side_of_a_threshold() -> None:
    y, probs = np.array([[1], [0], [0], [0]]), np.array([[0.7], [0.7], [0.7], [0.1]])
    (threshold,) = decisions.label_thresholds(y, probs)
    assert 0.1 < threshold < 0.7


@given(seed=seeds, classes=st.integers(2, 5))
def test_cut_points_ascend(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, 15)
    y[:2] = 0, classes - 1
    cuts = decisions.cut_points(y, rng.normal(size=15), classes)
    assert len(cuts) == classes - 1
    assert (np.diff(cuts) >= 0).all()


@given(seed=seeds, shift=st.floats(-9, 9), scale=st.floats(0.5, 4))
def test_cut_points_move_with_the_levels(seed: int, shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(12) % 3)
    levels = rng.permutation(12) + 0.0
    labels = pools.cut(levels, decisions.cut_points(y, levels, 3))
    moved = scale * levels + shift
    np.testing.assert_array_equal(pools.cut(moved, decisions.cut_points(y, moved, 3)), labels)


def test_levels_that_are_the_classes_are_cut_into_them() -> None:
    y = np.array([0, 1, 2, 3, 3, 1])
    cuts = decisions.cut_points(y, y.astype(np.float64), 4)
    assert cuts.tolist() == [0.5, 1.5, 2.5]


def test_a_class_that_no_row_shows_has_no_room_between_its_cuts() -> None:
    y = np.array([0, 0, 2, 2])
    cuts = decisions.cut_points(y, np.array([0.0, 0.1, 1.9, 2.0]), 3)
    np.testing.assert_array_equal(pools.cut(np.array([0.05, 1.95]), cuts), [0, 2])


@given(seed=seeds)
def test_a_segmentation_costs_no_more_than_any_other(seed: int) -> None:
    costs = np.random.default_rng(seed).normal(size=(6, 3))
    sums = np.vstack([np.zeros(3), np.cumsum(costs, 0)])

    def total(first: int, second: int) -> float:
        ends = [0, first, second, 6]
        return float(sum(sums[ends[c + 1], c] - sums[ends[c], c] for c in range(3)))

    first, second = decisions._segmented(costs).tolist()
    pairs = itertools.combinations_with_replacement(range(7), 2)
    assert total(first, second) == pytest.approx(min(total(*pair) for pair in pairs))


def test_a_prior_that_would_only_harm_is_left_out() -> None:
    y = np.array([0, 0, 0, 1])
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8]])
    assert decisions.prior_exponent("f1_macro", y, probs, np.array([0.75, 0.25])) == 0.0


def test_a_rare_class_is_lifted_where_its_rows_are_missed() -> None:
    y = np.array([0] * 8 + [1] * 2)
    probs = np.array([[0.8, 0.2]] * 8 + [[0.6, 0.4]] * 2)
    tau = decisions.prior_exponent("balanced_accuracy", y, probs, np.array([0.8, 0.2]))
    assert 0 < tau < 1
    np.testing.assert_array_equal(pools.with_prior(probs, np.array([0.8, 0.2]), tau).argmax(1), y)


def test_an_exponent_that_is_tried_is_the_best_of_the_grid() -> None:
    rng = np.random.default_rng(0)
    prior = np.array([0.85, 0.1, 0.05])
    y = rng.choice(3, 600, p=prior)
    scores = rng.normal(0, 1, (600, 3)) + 1.3 * np.eye(3)[y] + np.log(prior)
    probs = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    f1 = metrics.metric_of("f1_macro", "classification")
    own = metrics.Metric("pkg:own", f1.score, True, "classification")
    tau = decisions.tried_exponent(own, y, probs, prior)
    tried = [f1.score(y, probs / prior**t) for t in np.linspace(0, 1, 21)]
    assert tau == pytest.approx(0.05 * int(np.argmax(tried)))
    exact = decisions.prior_exponent("f1_macro", y, probs, prior)
    assert f1.score(y, probs / prior**exact) >= max(tried) - 1e-12


def test_where_no_exponent_helps_none_is_taken() -> None:
    y = np.array([0, 1, 0, 1])
    own = metrics.Metric("pkg:own", metrics.accuracy, True, "classification")
    assert decisions.tried_exponent(own, y, np.eye(2)[y], np.array([0.5, 0.5])) == 0
    assert decisions.tried_exponent(own, y, np.eye(2)[1 - y], np.array([1.0, 0.0])) == 0
