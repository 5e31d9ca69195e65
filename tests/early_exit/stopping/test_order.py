"""The order of the evaluations, their shares, and what is left after each."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def weighed(seed: int, count: int = 9) -> list[Evaluation]:
    """Evaluations of three families under random weights and costs, in no order."""
    rng = np.random.default_rng(seed)
    return [
        Evaluation(f"{'abc'[n % 3]}-f{n}", "abc"[n % 3], n % 2, *rng.uniform(0.1, 9, 2).tolist())
        for n in range(count)
    ]


@given(seed=st.integers(0, 10**6), data=st.data())
def test_the_order_does_not_depend_on_that_of_the_arguments(seed: int, data: st.DataObject) -> None:
    plain = weighed(seed)
    assert ordered(data.draw(st.permutations(plain))) == ordered(plain)


@given(seed=st.integers(0, 10**6), weight=st.floats(1e-3, 1e3), cost=st.floats(1e-3, 1e3))
def test_another_unit_of_weights_or_costs_changes_no_order(
    seed: int, weight: float, cost: float
) -> None:
    plain = weighed(seed)
    scaled = [replace(e, weight=weight * e.weight, cost=cost * e.cost) for e in plain]
    assert [e.member for e in ordered(scaled)] == [e.member for e in ordered(plain)]


@given(seed=st.integers(0, 10**6))
def test_each_evaluation_with_a_weight_comes_once(seed: int) -> None:
    plain = [*weighed(seed), Evaluation("z-f0", "z", 0, 0.0)]
    assert sorted(e.member for e in ordered(plain)) == sorted(e.member for e in plain[:-1])


def test_at_equal_costs_none_comes_before_one_that_is_half_again_as_heavy() -> None:
    found = [e.weight for e in ordered([replace(e, cost=1.0) for e in weighed(4)])]
    assert all(later <= 1.5 * earlier for earlier, later in combinations(found, 2))


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
def test_shares_sum_to_1_and_keep_their_proportions(weights: list[float]) -> None:
    found = shares(weights)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found * sum(weights), weights)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=9))
def test_the_bridge_falls_from_infinity_to_nothing(weights: list[float]) -> None:
    found = bridges(np.sort(shares(weights))[::-1])
    assert (found[0], found[-1]) == (np.inf, 0)
    assert (np.diff(found[1:]) < 1e-12).all()


def test_the_bridge_is_its_formula_in_a_loop() -> None:
    weights = shares([5, 1, 3, 2])
    for k in range(1, 4):
        done, rest = weights[:k].tolist(), weights[k:].tolist()
        ratio = sum(rest) / sum(done)
        expected = sum(w * w for w in rest) + ratio**2 * sum(w * w for w in done)
        assert bridges(weights)[k] == pytest.approx(expected**0.5)


def test_one_evaluation_has_the_infinite_bridge_and_none() -> None:
    assert bridges(np.ones(1)).tolist() == [np.inf, 0]
    assert spent(np.ones(1)).tolist() == [0, 1]


@pytest.mark.parametrize("cost", [-1.0, np.nan, np.inf])
def test_a_cost_that_cannot_be_names_its_member(cost: float) -> None:
    with pytest.raises(UsageError, match=r"must be above 0; it is not for \['a-f1'"):
        ordered([Evaluation("a-f0", "a", 0, 1.0), Evaluation("a-f1", "a", 0, 1.0, cost)])


def test_a_family_without_a_weight_makes_no_evaluation() -> None:
    plan = evaluations_of([("a-f0", "a"), ("b-f0", "b")], {"a": 0.0, "b": 2.0},
                          {"a-f0": 1.0, "b-f0": 1.0})  # fmt: skip
    assert [e.member for e in plan] == ["b-f0"]


@pytest.mark.parametrize("views", [1, 3])
def test_the_evaluations_of_a_family_weigh_together_what_it_weighs(views: int) -> None:
    voters = [("a-f0", "a"), ("a-f1", "a"), ("b-f0", "b")]
    plan = evaluations_of(voters, {"a": 3.0, "b": 2.0}, {name: 1.0 for name, _ in voters}, views)
    assert len(plan) == 3 * views
    for family, weight in (("a", 3.0), ("b", 2.0)):
        assert sum(e.weight for e in plan if e.family == family) == pytest.approx(weight)


def test_families_may_have_other_numbers_of_views_and_keep_their_weights() -> None:
    voters = [("a-f0", "a"), ("a-f1", "a"), ("b-f0", "b")]
    plan = evaluations_of(voters, {"a": 1.0, "b": 3.0}, {n: 1.0 for n, _ in voters},
                          {"a": 4, "b": 1})  # fmt: skip
    assert len(plan) == 2 * 4 + 1
    assert {e.family: sum(f.weight for f in plan if f.family == e.family) for e in plan} == {
        "a": 1.0, "b": 3.0,
    }  # fmt: skip
    assert {e.weight for e in plan if e.family == "a"} == {1 / 8}
