"""The order of the evaluations, their shares, and what is left after each."""

import numpy as np
import pytest

from ensemble.early_exit.stopping.order import (
    Evaluation,
    bridges,
    evaluations_of,
    ordered,
    shares,
    spent,
)
from ensemble.errors import UsageError


def test_the_bridge_is_the_spread_of_what_exchangeable_evaluations_still_change() -> None:
    rng = np.random.default_rng(0)
    weights = shares([3, 1, 2, 1, 1])
    draws = rng.normal(size=(200_000, 5))
    for k in range(1, 5):
        so_far = draws[:, :k] @ weights[:k] / weights[:k].sum()
        assert np.std(draws @ weights - so_far) == pytest.approx(bridges(weights)[k], rel=0.01)


def grid(weight: float = 1.0, cost: float = 1.0, family: str = "a") -> list[Evaluation]:
    return [Evaluation(f"{family}-f{f}", family, v, weight, cost) for f in (0, 1) for v in (0, 1)]


def named(evaluations: list[Evaluation]) -> list[str]:
    return [f"{e.member}/{e.view}" for e in ordered(evaluations)]


def test_families_take_turns_and_first_views_come_first() -> None:
    expected = ["a-f0/0", "b-f0/0", "a-f1/0", "b-f1/0", "a-f0/1", "b-f0/1", "a-f1/1", "b-f1/1"]
    assert named([*grid(family="b", cost=1.2), *grid()]) == expected
    assert named([*grid(), *grid(family="b", cost=1.2)][::-1]) == expected


def test_the_heaviest_per_cost_come_first() -> None:
    found = named([*grid(), *grid(3.0, family="b"), *grid(3.0, 72.0, family="c")])
    assert [name[0] for name in found] == [*"bbbb", *"aaaa", *"cccc"]


def test_families_take_turns_though_one_costs_eight_times_the_other() -> None:
    found = named([*grid(cost=7.9, family="a"), *grid(family="b")])
    assert [name[0] for name in found] == [*"abababab"]


def test_what_is_known_already_comes_first() -> None:
    found = named([*grid(cost=7.9, family="a"), *grid(3.0, family="b"), *grid(cost=1e-9)])
    assert [name[0] for name in found][:4] == [*"aaaa"]
    known = [*grid(cost=5.0, family="b"), *grid(1.0, 1e-9, family="c"), *grid(3.0, 1.0, family="d")]
    assert [name[0] for name in named(known)] == [*"cccc", *"dddd", *"bbbb"]


def test_what_weighs_nothing_is_left_out() -> None:
    assert named([*grid(), *grid(0.0, family="b")]) == named(grid())


def test_all_weight_is_spent_at_the_end() -> None:
    assert spent(shares([1, 2, 1])).tolist() == [0, 0.25, 0.75, 1]


@pytest.mark.parametrize("wrong", [[], [0, 0], [1, -1], [1, np.nan], [1, np.inf]])
def test_impossible_weights_are_refused(wrong: list[float]) -> None:
    with pytest.raises(UsageError, match="weights"):
        shares(wrong)


def test_an_evaluation_that_costs_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        ordered(grid(cost=0.0))


def test_the_members_and_views_of_a_family_share_its_weight() -> None:
    plan = evaluations_of([("a-f0", "a"), ("a-f1", "a"), ("b-f0", "b")], {"a": 1, "b": 2},
                          {"a-f0": 1, "a-f1": 1, "b-f0": 3}, views=2)  # fmt: skip
    assert {e.weight for e in plan if e.family == "a"} == {0.25}
    assert {e.weight for e in plan if e.family == "b"} == {1.0}
    assert [e.cost for e in plan if e.family == "b"] == [3, 3]
