"""A rule tells labels, margins and certainty; where none is certain it tells why not."""

from itertools import pairwise

import numpy as np
import pytest
from exits import PRIOR, scores
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensemble.early_exit.stopping.accumulators import Soft
from ensemble.early_exit.stopping.rules import (
    SLACK,
    Argmax,
    Cuts,
    Rule,
    Thresholds,
    leads,
    rule_of,
    slack,
    why_not,
    why_not_lossless,
)
from ensemble.early_exit.stopping.trajectory import follow
from ensemble.voting import pools
from ensemble.voting.decision import Decision

LAW = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 10**6)
RULES: dict[str, Rule] = {
    "argmax": Argmax(np.array([1.0, 3.0, 0.5, 2.0])),
    "cuts": Cuts(np.array([0.6, 1.5, 2.2])),
    "cuts in another order": Cuts(np.array([0.6, 1.5, 2.2]), (2, 0, 3, 1)),
    "thresholds": Thresholds(np.array([0.5, 0.2, 0.3, 0.4])),
}


def probs_of(seed: int, rows: int = 8, classes: int = 4) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.7), rows)


def test_a_lead_equal_to_what_is_left_is_no_exit() -> None:
    tied = np.array([[[1.0, 0]], [[1.0, 0]], [[0, 1.0]], [[0, 1.0]]])
    trajectory = follow(Soft(np.full(4, 0.25), Argmax(np.ones(2)), slack()), tied)
    assert trajectory.evaluations(np.inf).tolist() == [4]


def test_a_soft_vote_for_labels_may_end_early() -> None:
    assert why_not(voting="soft", pool="linear", task="classification", labels=True) == ""
    assert why_not_lossless(voting="soft", pool="linear", temperature=2, decision=PRIOR) == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"labels": False}, "probabilities change"),
        ({"task": "regression"}, "no bound"),
        ({"pool": "rank"}, "linear pool"),
        ({"voting": "rank"}, "linear pool"),
    ],
)
def test_the_reason_against_it_names_the_alternative(
    changed: dict[str, object], words: str
) -> None:
    plain = {"voting": "soft", "pool": "linear", "task": "classification", "labels": True}
    assert words in why_not(**{**plain, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"voting": "geometric"},
        {"pool": "log-linear"},
        {"decision": Decision(cut_points=(0.5,)), "temperature": 2.0},
    ],
)
def test_what_no_lossless_exit_can_do_a_certified_one_may(changed: dict[str, object]) -> None:
    plain = {"voting": "soft", "pool": "linear", "temperature": 1.0, "decision": Decision()}
    assert "certified" in why_not_lossless(**{**plain, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@LAW
@given(seed=seeds, rest=st.floats(0, 1))
def test_what_is_certain_no_remaining_evaluation_changes(
    rule: Rule, seed: int, rest: float
) -> None:
    mean, others = probs_of(seed), np.eye(4)
    sums = (1 - rest) * mean
    certain = rule.certain(sums, rest, slack())
    for worst in others:  # all that is left goes to one class
        assert (rule.labels(sums + rest * worst) == rule.labels(sums))[certain].all()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@LAW
@given(seed=seeds)
def test_the_more_weight_is_left_the_less_is_certain(rule: Rule, seed: int) -> None:
    sums = 0.5 * probs_of(seed)
    flags = [rule.certain(sums, rest, slack()) for rest in (0.0, 0.1, 0.3, 0.5)]
    for more, less in pairwise(flags):
        assert not (less & ~more).any()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@LAW
@given(seed=seeds)
def test_no_margin_is_negative_and_no_row_changes_that_of_another(rule: Rule, seed: int) -> None:
    mean = probs_of(seed)
    margins = rule.margins(mean)
    assert (margins >= 0).all()
    np.testing.assert_allclose(margins[::-1], rule.margins(mean[::-1]), atol=1e-12)


@LAW
@given(seed=seeds, share=st.floats(0, 0.999))
def test_a_move_by_less_than_half_the_margin_keeps_the_argmax(seed: int, share: float) -> None:
    mean, rule = probs_of(seed), Argmax(np.ones(4))
    away = np.random.default_rng(seed + 1).uniform(-1, 1, mean.shape)
    moved = mean + share * rule.margins(mean)[:, None] / 2 * away
    np.testing.assert_array_equal(rule.labels(moved), rule.labels(mean))


@LAW
@given(seed=seeds)
def test_the_argmax_and_its_lead_are_those_of_a_loop(seed: int) -> None:
    mean, theta = probs_of(seed), np.array([1.0, 3.0, 0.5, 2.0])
    rule = Argmax(theta)
    for row, label, margin in zip(mean, rule.labels(mean)[:, 0], rule.margins(mean), strict=True):
        ranked = sorted(range(4), key=lambda c, row=row: -theta[c] * row[c])
        first, second = ranked[:2]
        assert label == first
        lead = theta[first] * row[first] - theta[second] * row[second]
        assert margin == pytest.approx(lead / max(theta[first], theta[second]))


def test_of_classes_that_tie_the_lowest_is_the_label() -> None:
    rule = Argmax(np.ones(3))
    assert rule.labels(np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])).tolist() == [[0], [1]]
    assert rule.margins(np.array([[0.4, 0.4, 0.2]])).tolist() == [0]


@LAW
@given(seed=seeds, factor=st.floats(0.1, 10))
def test_multipliers_on_another_scale_give_the_same_labels_and_margins(
    seed: int, factor: float
) -> None:
    mean, theta = probs_of(seed), np.array([1.0, 3.0, 0.5, 2.0])
    one, other = Argmax(theta), Argmax(factor * theta)
    np.testing.assert_array_equal(one.labels(mean), other.labels(mean))
    np.testing.assert_allclose(one.margins(mean), other.margins(mean), atol=1e-12)


def test_probabilities_below_the_floor_count_as_the_floor() -> None:
    rule = Argmax(np.array([1.0, 100.0]), floor=1e-3)
    assert rule.labels(np.array([[0.05, 0.0], [0.2, 0.0]])).tolist() == [[1], [0]]


@LAW
@given(seed=seeds)
def test_cuts_label_by_how_many_lie_at_or_below_the_mean_place(seed: int) -> None:
    mean, cuts, order = probs_of(seed), [0.6, 1.5, 2.2], (2, 0, 3, 1)
    found = Cuts(np.array(cuts), order).labels(mean)[:, 0]
    for row, label in zip(mean, found, strict=True):
        level = sum(place * row[c] for place, c in enumerate(order))
        assert label == order[sum(level >= at for at in cuts)]


def test_a_level_on_a_cut_belongs_above_it_and_has_no_margin() -> None:
    rule, on = Cuts(np.array([1.0])), np.array([[0.0, 1.0]])
    assert rule.labels(on).tolist() == [[1]]
    assert rule.margins(on).tolist() == [0]


def test_the_margin_of_cuts_is_a_share_of_the_range_of_levels() -> None:
    rule = Cuts(np.array([0.5, 1.5]))
    assert rule.margins(np.array([[0.0, 0.0, 1.0]])).tolist() == [0.25]


def test_a_label_is_there_from_its_threshold_on() -> None:
    rule = Thresholds(np.array([0.5, 0.2]))
    assert rule.labels(np.array([[0.5, 0.199], [0.499, 0.2]])).tolist() == [[1, 0], [0, 1]]


def test_the_margin_of_labels_is_that_of_the_least_clear_one() -> None:
    rule = Thresholds(np.array([0.5, 0.2]))
    assert rule.margins(np.array([[0.9, 0.25], [0.4, 0.9]])) == pytest.approx([0.05, 0.1])


def test_one_open_label_leaves_a_row_open() -> None:
    rule = Thresholds(np.array([0.5, 0.5]))
    sums = np.array([[0.6, 0.1], [0.6, 0.4], [0.6, 0.6]])
    assert rule.certain(sums, 0.2, slack()).tolist() == [True, False, True]


@LAW
@given(seed=seeds)
def test_a_lead_is_that_of_a_loop(seed: int) -> None:
    mean = probs_of(seed)
    reach = mean + np.random.default_rng(seed).uniform(0, 0.3, mean.shape)
    expected = []
    for row, far in zip(mean, reach, strict=True):
        leader = int(row.argmax())
        expected.append(all(row[leader] - far[c] > 0.05 for c in range(4) if c != leader))
    assert leads(mean, reach, 0.05).tolist() == expected


def test_a_class_without_rivals_leads() -> None:
    assert leads(np.zeros((3, 1)), np.ones((3, 1)), 0.1).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("decision", [Decision(), PRIOR], ids=["plain", "prior"])
def test_a_rule_decides_as_the_pool_with_its_temperature_and_prior(
    temperature: float, decision: Decision
) -> None:
    mean = scores(3)[:, 15:].mean(0).astype(np.float64)
    probs = pools.tempered(mean, temperature)
    if decision.prior:
        probs = pools.with_prior(probs, np.array(decision.prior), decision.prior_tau)
    rule = rule_of(decision, temperature, 4)
    np.testing.assert_array_equal(rule.labels(mean)[:, 0], probs.argmax(1))


def test_cut_points_make_a_rule_of_cuts_in_their_order() -> None:
    rule = rule_of(Decision(cut_points=(0.5, 1.5), order=(2, 0, 1)), 1.0, 3)
    assert isinstance(rule, Cuts)
    assert (rule.cuts.tolist(), rule.order) == ([0.5, 1.5], (2, 0, 1))


@pytest.mark.parametrize(("noise", "eta"), [(0.0, SLACK), (1e-9, SLACK), (1e-3, 2e-3)])
def test_the_slack_is_twice_the_noise_and_never_below_that_of_float32(
    noise: float, eta: float
) -> None:
    assert slack(noise) == eta


def test_a_rule_has_a_floor_where_a_temperature_has_one() -> None:
    rules = (rule_of(PRIOR, temperature, 4) for temperature in (1.0, 2.0))
    floors = [rule.floor for rule in rules if isinstance(rule, Argmax)]
    assert floors == [0.0, pytest.approx(np.exp(pools.LOG_FLOOR))]
