"""A policy of the frontier: what runs, by which folds and weights, and what is said of the rest."""

import numpy as np
import pytest
from views_apart import FOLDS, apart, order

from ensemble.errors import UsageError
from ensemble.progress import Quiet
from ensemble.recipe.policy import Policy
from ensemble.tuning.budget import Budget
from ensemble.tuning.choose import found_in
from ensemble.tuning.frontier import frontier
from ensemble.tuning.policies import policy_of

VIEWS = {"plain": 1.2, "hflip": 1.2, "vflip": -1.5}


@pytest.fixture(autouse=True)
def folder(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


def chosen(budget: Budget = Budget()) -> Policy:
    found = found_in(apart({"ant": VIEWS, "bee": VIEWS}), order(), Quiet())
    return policy_of(found, frontier(found.market, found.judge, lambda _: None), budget)


def test_without_a_budget_every_fold_of_what_was_chosen_runs() -> None:
    policy = chosen()
    assert set(policy.families) == {"ant", "bee"}
    for family, own in policy.families.items():
        assert own.members == {fold: f"{family}{fold}" for fold in range(FOLDS)}
    assert policy.left_out == ()
    assert policy.evaluations == sum(3 * len(own.views) for own in policy.families.values())


def test_a_view_that_destroys_the_label_is_dropped_by_name() -> None:
    policy = chosen()
    assert policy.views["ant vflip"].startswith("hurts: loss +")
    assert all("vflip" not in own.views for own in policy.families.values())


def test_a_budget_of_evaluations_takes_families_and_views_first_and_then_folds() -> None:
    policy = chosen(Budget(evaluations=5))
    assert policy.evaluations <= 5
    assert set(policy.families) == {"ant", "bee"}
    assert len(policy.left_out) == 2 * FOLDS - sum(len(f.members) for f in policy.families.values())


def test_a_budget_of_one_evaluation_takes_one_fold_of_one_family() -> None:
    policy = chosen(Budget(evaluations=1))
    assert [len(own.members) for own in policy.families.values()] == [1]
    assert policy.evaluations == 1


@pytest.mark.parametrize("budget", [Budget(evaluations=0), Budget(image=1e-3), Budget(image=0.0),
                                    Budget(seconds=1.0, images=10_000)])  # fmt: skip
def test_a_budget_below_the_cheapest_is_refused_with_what_that_takes(budget: Budget) -> None:
    with pytest.raises(UsageError, match=r"below the cheapest choice, \w+ plain by one fold: 1 "):
        chosen(budget)


def test_what_the_frontier_costs_is_with_every_fold() -> None:
    first = chosen().frontier[0]
    assert first.evaluations == FOLDS
    assert first.seconds == pytest.approx(2e-3 + FOLDS * 1e-3)


def test_the_weights_are_those_of_the_members_that_run() -> None:
    policy = chosen(Budget(evaluations=4))
    assert set(policy.weights.families) == set(policy.families)
    for family, own in policy.families.items():
        assert policy.weights.members[family] == tuple(own.members.values())
        assert policy.weights.views[family] == own.merged
    assert policy.weights.classes == ("cat", "dog", "eel")
    assert np.isfinite(policy.weights.evidence["nested"] or np.nan)
