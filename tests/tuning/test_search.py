"""A search is never worse than its start, and gives the same each time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from blends import golden, many, tied
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.arrays import Pooled, Vector
from ensemble.evaluation.metrics import Metric, Truth, metric_of
from ensemble.tuning import lines, search
from ensemble.tuning.paths import LabelPath
from ensemble.tuning.search import bagged_climb, coordinate_ascent
from ensemble.voting import pools
from ensemble.voting.pools import Stack

Search = Callable[[Stack, Truth, Metric, Vector], Vector]
LAW = settings(deadline=None, max_examples=15)
seeds = st.integers(0, 10**6)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro", "qwk", "auc"])
def test_an_ascent_is_never_worse_than_its_start(metric: str) -> None:
    stack, y = many(5, 300, 4)
    measured = metric_of(metric, "classification")
    start = np.full(5, 0.2)
    found = coordinate_ascent(stack, y, measured, start)
    before, after = (measured.score(y, pools.linear(stack, w)) for w in (start, found))
    assert after >= before
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "qwk"])
def test_an_ascent_looks_only_at_rows_on_which_families_disagree(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, y = many(4, 300, 4)
    labels = stack.argmax(2)
    disputed = int((labels != labels[0]).any(0).sum())
    followed: list[int] = []
    walk = lines.walk

    def counted(start: Pooled, end: Pooled) -> LabelPath:
        followed.append(len(start))
        return walk(start, end)

    monkeypatch.setattr(lines, "walk", counted)
    coordinate_ascent(stack, y, metric_of(metric, "classification"), np.full(4, 0.25))
    assert set(followed) == {disputed}
    assert 0 < disputed < 300


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro", "qwk"])
@LAW
@given(seed=seeds)
def test_the_score_of_the_rows_in_dispute_and_of_the_others_is_that_of_all(
    metric: str, seed: int
) -> None:
    stack, y = many(3, 60, 4, seed)
    measured, weights = metric_of(metric, "classification"), np.array([0.2, 0.5, 0.3])
    found = search._Field.of(stack, y, measured)
    assert found.score(weights) == measured.score(y, pools.linear(stack, weights))


def test_a_round_that_gains_next_to_nothing_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    stack, y = many(4, 300, 4)
    accuracy, start = metric_of("accuracy", "classification"), np.array([0.7, 0.1, 0.1, 0.1])
    rounds: list[int] = []
    along = search._Field.along

    def counted(field: search._Field, others: Vector, family: int) -> tuple[float, float]:
        rounds.append(family)
        return along(field, others, family)

    monkeypatch.setattr(search._Field, "along", counted)
    coordinate_ascent(stack, y, accuracy, start)
    monkeypatch.setattr(search, "_ENOUGH", 10.0)
    some = len(rounds)
    coordinate_ascent(stack, y, accuracy, start)
    assert len(rounds) - some == 4 < some


def test_an_ascent_reaches_the_golden_accuracy() -> None:
    stack, y = golden()
    accuracy = metric_of("accuracy", "classification")
    found = coordinate_ascent(stack, y, accuracy, np.full(4, 0.25))
    assert accuracy.score(y, pools.linear(stack, found)) >= 0.877


def test_a_climb_raises_a_metric_that_nobody_knows() -> None:
    stack, y = golden()
    strange = replace(metric_of("brier", "classification"), name="strange")
    found = bagged_climb(stack, y, strange, np.full(4, 0.25))
    before, after = (strange.score(y, pools.linear(stack, w)) for w in (np.full(4, 0.25), found))
    assert after < before


def test_a_search_gives_the_same_each_time() -> None:
    stack, y = tied()
    accuracy = metric_of("accuracy", "classification")
    results = [coordinate_ascent(stack, y, accuracy, np.full(5, 0.2)) for _ in range(2)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro", "auc"])
@LAW
@given(seed=seeds)
def test_an_ascent_of_two_families_reaches_the_best_of_a_fine_grid(metric: str, seed: int) -> None:
    stack, y = many(2, 40, 3, seed)
    measured = metric_of(metric, "classification")
    shares = np.linspace(0.001, 0.999, 333)
    best = max(measured.score(y, pools.linear(stack, np.array([1 - s, s]))) for s in shares)
    found = coordinate_ascent(stack, y, measured, np.full(2, 0.5))
    assert measured.score(y, pools.linear(stack, found)) >= best - 1e-12


@LAW
@given(seed=seeds)
def test_an_ascent_of_the_absolute_error_of_two_families_reaches_the_best_of_a_grid(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 5, (25, 2))
    stack = y + rng.normal(0, [[[2.0]], [[3.0]]], (2, 25, 2))
    error = metric_of("mae", "regression")
    shares = np.linspace(0, 1, 101)
    best = min(error.score(y, pools.linear(stack, np.array([1 - s, s]))) for s in shares)
    found = coordinate_ascent(stack, y, error, np.full(2, 0.5))
    assert error.score(y, pools.linear(stack, found)) <= best + 1e-12


@pytest.mark.parametrize("search", [coordinate_ascent, bagged_climb])
def test_weights_to_start_from_may_have_any_scale(search: Search) -> None:
    stack, y = many(3, 60, 3)
    accuracy, start = metric_of("accuracy", "classification"), np.array([1.0, 2.0, 1.0])
    one, other = (search(stack, y, accuracy, scale * start) for scale in (1.0, 8.0))
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("search", [coordinate_ascent, bagged_climb])
def test_a_lone_family_keeps_all_the_weight(search: Search) -> None:
    stack, y = many(1, 30, 3)
    found = search(stack, y, metric_of("accuracy", "classification"), np.ones(1))
    assert found.tolist() == [1.0]


@pytest.mark.parametrize("search", [coordinate_ascent, bagged_climb])
def test_copies_leave_the_weights_where_they_start(search: Search) -> None:
    stack, y = many(1, 60, 3)
    start = np.array([0.2, 0.5, 0.3])
    found = search(np.repeat(stack, 3, 0), y, metric_of("accuracy", "classification"), start)
    np.testing.assert_allclose(found, start)


@pytest.mark.parametrize("search", [coordinate_ascent, bagged_climb])
@LAW
@given(seed=seeds)
def test_a_search_ends_on_the_simplex(search: Search, seed: int) -> None:
    stack, y = many(4, 30, 3, seed)
    found = search(stack, y, metric_of("accuracy", "classification"), np.full(4, 0.25))
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def test_a_family_that_is_always_right_is_found() -> None:
    stack, y = many(3, 80, 3)
    stack[1] = 0.6 * np.eye(3)[y] + 0.4 / 3
    stack[[0, 2]] = 0.98 * np.eye(3)[(y + 1) % 3] + 0.02 / 3
    accuracy = metric_of("accuracy", "classification")
    found = coordinate_ascent(stack, y, accuracy, np.full(3, 1 / 3))
    assert found.argmax() == 1
    assert accuracy.score(y, pools.linear(stack, found)) == 1


def test_a_climb_goes_down_where_less_is_better() -> None:
    stack, y = golden()
    worse = np.array([0.0, 0.0, 0.0, 1.0])
    loss = metric_of("log_loss", "classification")
    found = bagged_climb(stack, y, loss, worse)
    assert loss.score(y, pools.linear(stack, found)) < loss.score(y, stack[3])
