"""The blends that compete are what their names say, whatever the metric."""

import itertools

import numpy as np
import pytest
from blends import many

from ensemble.evaluation.metrics import Metric, metric_of
from ensemble.tuning.candidates import (
    Candidate,
    Name,
    best_single,
    best_subset,
    candidates_of,
    crossed,
    fitted,
    rivals_of,
    variants_of,
)
from ensemble.voting.weights import Polish, Pool

ACCURACY = metric_of("accuracy", "classification")
F1 = metric_of("f1_macro", "classification")
RMSE = metric_of("rmse", "regression")
OWN = Metric("pkg:own", lambda y, probs: float((probs.argmax(1) == y).mean()), True,
             "classification")  # fmt: skip


def names_of(
    metric: Metric, families: int = 3, pool: Pool | None = None, polish: Polish = "off"
) -> list[str]:
    return [each.name for each in candidates_of(metric, families, pool, polish)]


def test_five_compete_from_the_simplest_on() -> None:
    assert names_of(ACCURACY) == ["mean", "best", "subset", "linear", "log-linear"]


def test_values_and_squares_have_a_linear_pool_only() -> None:
    for metric in (RMSE, metric_of("brier", "classification")):
        assert names_of(metric) == ["mean", "best", "subset", "linear"]


def test_of_one_family_there_is_no_best_and_no_subset() -> None:
    assert names_of(ACCURACY, families=1) == ["mean", "linear", "log-linear"]


def test_a_pool_that_is_asked_for_meets_the_mean_alone() -> None:
    assert names_of(metric_of("auc", "classification"), pool="rank") == ["mean", "rank"]


@pytest.mark.parametrize("metric", [ACCURACY, OWN], ids=["accuracy", "own"])
def test_a_search_for_the_metric_comes_last_and_is_guarded(metric: Metric) -> None:
    last = candidates_of(metric, 3, None, "auto")[-1]
    assert (last.name, last.polish, last.guarded) == ("log-linear", True, True)


def test_a_search_that_is_asked_for_is_not_guarded() -> None:
    found = candidates_of(ACCURACY, 3, None, "always")
    assert [(each.polish, each.guarded) for each in found[3:]] == [(True, False)] * 2


def test_only_metrics_that_a_rule_serves_have_variants_with_one() -> None:
    ways = candidates_of(F1, 3, None, "off")
    assert [each.rule for each in variants_of(ways, F1)] == [False, True] * 5
    assert [each.rule for each in variants_of(ways, ACCURACY)] == [False] * 5
    assert any(each.rule for each in variants_of(ways, OWN))


def test_the_best_single_family_has_the_best_score() -> None:
    stack, y = many(4, 80, 3)
    scores = [ACCURACY.score(y, probs) for probs in stack]
    weights = best_single(stack, y, ACCURACY).weights
    assert weights.tolist() == np.eye(4)[int(np.argmax(scores))].tolist()


def test_the_best_of_errors_is_the_least() -> None:
    y = np.array([[0.0], [1.0], [2.0]])
    stack = np.stack([y + 3, y + 0.1, y - 2])
    assert best_single(stack, y, RMSE).weights.tolist() == [0, 1, 0]


def test_a_subset_is_the_plain_mean_of_its_families() -> None:
    stack, y = many(4, 200, 3)
    blend = best_subset(stack, y, ACCURACY)
    taken = np.flatnonzero(blend.weights)
    np.testing.assert_allclose(blend.probs(stack), stack[taken].mean(0))


def test_a_subset_scores_no_worse_than_any_family_and_is_found_greedily() -> None:
    stack, y = many(3, 200, 3)
    blend = best_subset(stack, y, ACCURACY)
    best = ACCURACY.score(y, blend.probs(stack))
    assert best >= max(ACCURACY.score(y, probs) for probs in stack)
    pairs = [ACCURACY.score(y, stack[list(p)].mean(0)) for p in itertools.combinations(range(3), 2)]
    assert best >= min(pairs)


def test_without_its_rule_a_candidate_decides_by_the_argmax() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(3, 600, p=[0.85, 0.1, 0.05])
    scores = rng.normal(0, 1, (2, 600, 3)) + 1.3 * np.eye(3)[y] + np.log([0.85, 0.1, 0.05])
    stack = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    plain, ruled = (fitted(stack, y, F1, Candidate("mean", rule=rule)) for rule in (False, True))
    assert plain.decision.prior_tau == 0 < ruled.decision.prior_tau
    np.testing.assert_array_equal(plain.weights, ruled.weights)


@pytest.mark.parametrize("name", ["mean", "best", "subset", "linear", "log-linear"])
def test_each_fold_is_predicted_by_a_fit_of_the_others(name: str) -> None:
    stack, y = many(3, 90, 3)
    folds = np.arange(90) % 3
    way = Candidate(name)  # type: ignore[arg-type]
    rivals = rivals_of(ACCURACY, 3, None, "never")
    for held, (blend,) in crossed(stack, y, rivals.fits, [way], folds):
        alone = fitted(stack[:, ~held], y[~held], ACCURACY, way)
        expected = alone.predicted(stack[:, held])
        np.testing.assert_array_equal(blend.predicted(stack[:, held]), expected)


@pytest.mark.parametrize("name", ["linear", "log-linear", "rank", "mean"])
def test_a_polished_blend_is_of_the_pool_that_it_is_called_by(name: Name) -> None:
    stack = np.random.default_rng(0).dirichlet([2, 2, 2], (2, 40))
    y = np.arange(40) % 3
    way = Candidate(name, polish=name != "mean")
    found = fitted(stack, y, metric_of("f1_macro", "classification"), way)
    assert found.pool == ("linear" if way.pool == "mean" else way.pool)
