"""Ledgers against the full vote: the lossless laws, the statistic, what each vote sums."""

from dataclasses import replace

import numpy as np
import pytest
from exits import PRIOR, log_linear, scores
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensemble.early_exit.stopping.accumulators import (
    Families,
    Hard,
    Soft,
    accumulator_of,
)
from ensemble.early_exit.stopping.order import evaluations_of, shares
from ensemble.early_exit.stopping.rules import Argmax, Cuts, Rule, Thresholds, rule_of, slack
from ensemble.early_exit.stopping.standing import Accumulator
from ensemble.early_exit.stopping.trajectory import Trajectory, follow
from ensemble.errors import UsageError
from ensemble.records import Voting
from ensemble.voting import pools
from ensemble.voting.blend import decide
from ensemble.voting.decision import Decision
from ensemble.voting.vote import Ballot, fuse
from ensemble.voting.weights import Weights

seeds = st.integers(0, 2**32 - 1)
LAW = settings(deadline=None, max_examples=40)


def weights_of(seed: int, k: int = 8) -> NDArray[np.float64]:
    """Even weights or random ones, the heaviest first."""
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.dirichlet(np.ones(k)))[::-1]
    return np.full(k, 1 / k) if seed % 2 else shares(drawn.tolist())


def equal_where_clear(
    trajectory: Trajectory, mean: NDArray[np.float64], rule: Rule, eta: float
) -> bool:
    """Tell whether the lossless labels are the full ones wherever the margin exceeds 2 eta."""
    clear = rule.margins(mean) > 2 * eta
    same = (trajectory.labels_at(np.inf) == rule.labels(mean)).all(1)
    return bool(same[clear].all() and clear.any())


@LAW
@given(seeds, st.sampled_from([(1.0, Decision()), (1.0, PRIOR), (2.5, PRIOR), (0.5, PRIOR)]))
def test_lossless_labels_are_those_of_the_full_soft_vote(
    seed: int, how: tuple[float, Decision]
) -> None:
    temperature, decision = how
    probs, weights = scores(seed), weights_of(seed)
    rule = rule_of(decision, temperature, 4)
    trajectory = follow(Soft(weights, rule, slack()), probs)
    ballots = [Ballot(f"m{i}", f"m{i}", p) for i, p in enumerate(probs)]
    given_weights = Weights({f"m{i}": w for i, w in enumerate(weights.tolist())},
                            temperature=temperature, decision=decision)  # fmt: skip
    full = fuse(ballots, "soft", given_weights, "classification").labels
    clear = rule.margins(np.tensordot(weights, probs, 1)) > 2 * slack()
    assert (trajectory.labels_at(np.inf)[clear, 0] == full[clear]).all()
    assert trajectory.evaluations(np.inf).mean() < len(weights)


@LAW
@given(seeds)
def test_lossless_holds_when_every_forward_is_off_by_float16s_noise(seed: int) -> None:
    noise = 1e-3
    probs, weights = scores(seed).astype(np.float64), weights_of(seed)
    rng = np.random.default_rng(seed + 1)
    single = np.clip(probs + rng.uniform(-noise, noise, probs.shape), 0, 1)
    rule = Argmax(np.ones(4))
    trajectory = follow(Soft(weights, rule, slack(noise)), single)
    early = trajectory.evaluations(np.inf) < len(weights)
    full = rule.labels(np.tensordot(weights, probs, 1))
    assert (trajectory.labels_at(np.inf) == full)[early].all()


@LAW
@given(seeds, st.booleans())
def test_lossless_labels_are_those_of_the_full_hard_vote(seed: int, noisy: bool) -> None:
    probs = scores(seed)
    ballots = [Ballot(f"m{i}", f"m{i}", p) for i, p in enumerate(probs)]
    weights = weights_of(seed)
    given_weights = Weights({f"m{i}": w for i, w in enumerate(weights.tolist())})
    full = fuse(ballots, "hard", given_weights, "classification").labels
    accumulator = Hard(weights, np.arange(8), slack(1e-3 * noisy))
    trajectory = follow(accumulator, probs)
    assert (trajectory.labels[-1][:, 0] == full).all()
    assert (trajectory.labels_at(np.inf)[:, 0] == full).all()


@LAW
@given(seeds)
def test_a_hard_vote_of_views_freezes_members_and_keeps_the_label(seed: int) -> None:
    probs = scores(seed, k=12)
    views = np.repeat(np.arange(3), 4) if seed % 2 else np.tile(np.arange(3), 4)
    weights = np.full(12, 1 / 12)
    trajectory = follow(Hard(weights, views, slack()), probs)
    members = [probs[views == m].astype(np.float64).mean(0) for m in range(3)]
    full = [Ballot(f"m{i}", f"m{i}", p.astype(np.float32)) for i, p in enumerate(members)]
    labels = fuse(full, "hard", None, "classification").labels
    top = np.sort(np.stack(members), axis=2)
    clear = (top[..., -1] - top[..., -2] > 4 * slack()).all(0)
    assert (trajectory.labels_at(np.inf)[clear, 0] == labels[clear]).all()
    assert trajectory.evaluations(np.inf)[clear].mean() < 12


def test_a_hard_vote_that_can_still_be_tied_goes_on() -> None:
    votes = np.eye(2, dtype=np.float32)[[[0], [0], [1], [1]]]
    trajectory = follow(Hard(np.full(4, 0.25), np.arange(4), slack()), votes)
    assert trajectory.evaluations(np.inf).tolist() == [4]


@LAW
@given(seeds)
def test_lossless_labels_of_a_multilabel_head_are_the_full_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = rng.choice([0.05, 0.95], (1, 80, 3), p=[0.7, 0.3])
    probs = np.clip(level + rng.normal(0, 0.1, (8, 80, 3)), 0, 1)
    rule, weights = Thresholds(np.array([0.5, 0.3, 0.7])), weights_of(seed)
    trajectory = follow(Soft(weights, rule, slack()), probs)
    assert equal_where_clear(trajectory, np.tensordot(weights, probs, 1), rule, slack())
    assert trajectory.evaluations(np.inf).mean() < 8


@LAW
@given(seeds)
def test_lossless_labels_of_cuts_are_the_full_ones(seed: int) -> None:
    probs, weights = scores(seed).astype(np.float64), weights_of(seed)
    rule = Cuts(np.array([0.5, 1.4, 2.5]))
    trajectory = follow(Soft(weights, rule, slack()), probs)
    assert equal_where_clear(trajectory, np.tensordot(weights, probs, 1), rule, 2 * slack())


def test_uniform_weights_need_more_than_half_of_the_evaluations() -> None:
    sure = np.tile(np.array([1.0, 0, 0]), (20, 1, 1))
    trajectory = follow(Soft(np.full(20, 0.05), Argmax(np.ones(3)), slack()), sure)
    assert trajectory.evaluations(np.inf).tolist() == [11]


def test_a_log_linear_pool_ends_with_the_label_of_the_full_vote() -> None:
    probs, accumulator = scores(3), log_linear()
    ballots = [Ballot(f"m{i}", f"f{i % 2}", p) for i, p in enumerate(probs)]
    given_weights = Weights({"f0": 0.9, "f1": 0.5}, pool="log-linear", decision=PRIOR)
    full = fuse(ballots, "soft", given_weights, "classification")
    trajectory = follow(accumulator, probs)
    assert (trajectory.labels[-1][:, 0] == full.labels).all()
    assert (trajectory.evaluations(np.inf) == 8).all()
    assert trajectory.evaluations(2.0).mean() < 8


def test_the_first_family_alone_carries_all_exponents() -> None:
    probs = scores(3)[:1]
    accumulator = log_linear()
    sums = np.zeros((2, *probs.shape[1:]))
    accumulator.add(sums, 0, probs[0])
    expected = pools.log_linear(probs.astype(np.float64), np.array([1.4]))
    assert (accumulator.standing(sums, 1).labels[:, 0] == decide(expected, PRIOR)).all()


def test_the_statistic_is_the_margin_over_the_bridge() -> None:
    probs, weights = scores(5).astype(np.float64), weights_of(4)
    trajectory = follow(Soft(weights, Argmax(np.ones(4)), slack()), probs)
    for k in range(1, 8):
        mean = np.tensordot(weights[:k] / weights[:k].sum(), probs[:k], 1)
        first, second = np.sort(mean, axis=1)[:, :-3:-1].T
        rest, done = weights[k:], weights[:k]
        bridge = np.sqrt((rest**2).sum() + (rest.sum() / done.sum()) ** 2 * (done**2).sum())
        open_rows = np.isfinite(trajectory.z[k - 1])
        expected = ((first - second) / bridge)[open_rows]
        assert np.allclose(trajectory.z[k - 1][open_rows], expected, rtol=1e-9, atol=1e-12)
    assert np.isinf(trajectory.z[-1]).all()


CUTS = Decision(cut_points=(0.6, 1.5, 2.2))


@pytest.mark.parametrize(
    ("vote", "how", "lossless"),
    [
        ("soft", Weights({"a": 2, "b": 1}), True),
        ("soft", Weights({"a": 2, "b": 1}, temperature=2.0, decision=PRIOR), True),
        ("soft", Weights({"a": 2, "b": 1}, decision=CUTS), True),
        ("soft", Weights({"a": 2, "b": 1}, decision=replace(CUTS, order=(2, 0, 3, 1))), True),
        ("soft", Weights({"a": 2, "b": 1}, temperature=2.0, decision=CUTS), False),
        ("soft", Weights({"a": 0.8, "b": 0.6}, pool="log-linear", decision=PRIOR), False),
        ("soft", Weights({"a": 0.8, "b": 0.6}, "log-linear", 0.7, PRIOR), False),
        ("geometric", Weights({"a": 2, "b": 1}), False),
        ("hard", Weights({"a": 2, "b": 1}), True),
    ],
)
def test_the_ledger_of_a_vote_gives_its_labels_and_ends_early_where_it_may(
    vote: Voting, how: Weights, lossless: bool
) -> None:
    probs = scores(13, k=5)[:, 5:]
    voters = [("a-f0", "a"), ("a-f1", "a"), ("b-f0", "b"), ("b-f1", "b"), ("b-f2", "b")]
    ballots = [Ballot(*who, p) for who, p in zip(voters, probs, strict=True)]
    by_name = {b.name: b.probs for b in ballots}
    plan = evaluations_of(voters, how.families, {name: 1.0 for name, _ in voters})
    trajectory = follow(accumulator_of(plan, vote, how, 4), [by_name[e.member] for e in plan])
    full = fuse(ballots, vote, how, "classification").labels
    assert (trajectory.labels[-1][:, 0] == full).all()
    assert (trajectory.labels_at(np.inf)[:, 0] == full).all()
    assert (trajectory.evaluations(np.inf).mean() < 5) == lossless


def test_a_vote_of_ranks_has_no_ledger() -> None:
    ranks = {"a": ((0.0, 0.4, 1.0),) * 4}
    plan = evaluations_of([("a-f0", "a")], {"a": 1.0}, {"a-f0": 1.0})
    with pytest.raises(UsageError, match="cannot end early"):
        accumulator_of(plan, "rank", Weights({"a": 1.0}, ranks=ranks), 4)


def summed(accumulator: Accumulator, probs: NDArray[np.float32], done: int) -> NDArray[np.float64]:
    """The sums after the first evaluations."""
    sums = np.zeros((accumulator.depth, *probs.shape[1:]))
    for stage in range(done):
        accumulator.add(sums, stage, probs[stage])
    return sums


def hard(k: int = 8, views: int = 2) -> Hard:
    return Hard(np.full(k, 1 / k), np.arange(k) // views, slack())


LEDGERS = {"soft": Soft(weights_of(2), Argmax(np.ones(4)), slack()), "hard": hard(),
           "families": log_linear()}  # fmt: skip


@pytest.mark.parametrize("accumulator", LEDGERS.values(), ids=LEDGERS)
@pytest.mark.parametrize("done", [1, 3, 8])
def test_each_image_is_looked_at_by_itself(accumulator: Accumulator, done: int) -> None:
    sums = summed(accumulator, scores(21), done)
    whole = accumulator.standing(sums, done)
    for row in range(0, 60, 7):
        alone = accumulator.standing(sums[:, row : row + 1], done)
        assert alone.labels[0].tolist() == whole.labels[row].tolist()
        assert alone.z[0] == pytest.approx(whole.z[row], rel=1e-9)


@pytest.mark.parametrize("accumulator", LEDGERS.values(), ids=LEDGERS)
def test_classes_in_another_order_are_other_labels_of_the_same_statistic(
    accumulator: Accumulator,
) -> None:
    if isinstance(accumulator, Families):
        accumulator = replace(
            accumulator, rule=Argmax(np.ones(4))
        )  # its prior has an order of its own
    probs, order = scores(22)[:, 15:], np.array([2, 0, 3, 1])
    plain, turned = follow(accumulator, probs), follow(accumulator, probs[..., order])
    np.testing.assert_array_equal(order[turned.labels[-1]], plain.labels[-1])
    np.testing.assert_allclose(turned.z, plain.z, rtol=1e-9)


@pytest.mark.parametrize("accumulator", LEDGERS.values(), ids=LEDGERS)
def test_after_the_last_evaluation_every_image_ends(accumulator: Accumulator) -> None:
    standing = accumulator.standing(summed(accumulator, scores(23), 8), 8)
    assert np.isinf(standing.z).all()


@pytest.mark.parametrize("accumulator", LEDGERS.values(), ids=LEDGERS)
def test_every_sum_of_an_image_has_the_weight_that_was_added_to_it(
    accumulator: Accumulator,
) -> None:
    sums = summed(accumulator, scores(24), 5)
    np.testing.assert_allclose(sums.sum((0, 2)), accumulator.weights[:5].sum(), atol=1e-6)


def test_the_sum_of_a_soft_vote_is_that_of_a_loop() -> None:
    probs, accumulator = scores(25), LEDGERS["soft"]
    expected = sum(accumulator.weights[k] * probs[k].astype(np.float64) for k in range(6))
    np.testing.assert_allclose(summed(accumulator, probs, 6)[0], expected, atol=1e-12)


def test_a_member_votes_with_its_whole_weight_from_its_first_view_on() -> None:
    probs = np.array([[[0.6, 0.4]], [[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]], np.float32)
    accumulator = hard(4)
    first = accumulator.standing(summed(accumulator, probs, 1), 1)
    assert first.labels.tolist() == [[0]]
    both = accumulator.standing(summed(accumulator, probs, 2), 2)
    assert both.labels.tolist() == [[1]]  # the mean over its views votes, not each view


def test_a_tied_hard_vote_goes_to_the_largest_summed_probability() -> None:
    probs = np.array([[[0.6, 0.4]], [[0.1, 0.9]]], np.float32)
    trajectory = follow(Hard(np.full(2, 0.5), np.arange(2), slack()), probs)
    assert trajectory.labels[-1].tolist() == [[1]]


def test_a_member_of_more_than_half_of_the_votes_decides_at_once() -> None:
    probs = scores(26, k=3)[:, 15:]
    accumulator = Hard(np.array([0.6, 0.2, 0.2]), np.arange(3), slack())
    assert (follow(accumulator, probs).evaluations(np.inf) == 1).all()


def test_a_view_that_may_still_turn_a_vote_freezes_nothing() -> None:
    sure = np.tile(np.array([[0.9, 0.1]], np.float32), (4, 1, 1))
    one_member = Hard(np.full(4, 0.25), np.zeros(4, np.int64), slack())
    assert follow(one_member, sure).evaluations(np.inf).tolist() == [3]


def test_a_family_without_an_evaluation_is_left_out_of_its_pool() -> None:
    probs, accumulator = scores(27), replace(log_linear(), family=np.arange(8) // 4)
    mean = np.average(probs[:3].astype(np.float64), axis=0, weights=accumulator.weights[:3])
    expected = pools.log_linear(mean[None], np.array([1.4]))
    found = accumulator.standing(summed(accumulator, probs, 3), 3)
    np.testing.assert_array_equal(found.labels, accumulator.rule.labels(expected))


def test_identical_members_leave_one_label_at_every_stage() -> None:
    probs = np.repeat(scores(28)[:1, 15:], 8, axis=0)
    for accumulator in LEDGERS.values():
        labels = follow(accumulator, probs).labels
        assert (labels == labels[-1]).all()


def test_one_evaluation_is_all() -> None:
    trajectory = follow(Soft(np.ones(1), Argmax(np.ones(4)), slack()), scores(29)[:1])
    assert trajectory.evaluations(np.inf).tolist() == [1] * 60
    np.testing.assert_array_equal(trajectory.labels[0, :, 0], scores(29)[0].argmax(1))


def test_a_head_of_one_class_ends_at_once() -> None:
    trajectory = follow(Soft(np.full(3, 1 / 3), Argmax(np.ones(1)), slack()), np.ones((3, 5, 1)))
    assert trajectory.evaluations(np.inf).tolist() == [1] * 5


@pytest.mark.parametrize(
    ("vote", "weights", "kind", "depth"),
    [
        ("soft", Weights({"a": 1, "b": 1}), Soft, 1),
        ("soft", Weights({"a": 1, "b": 1}, "log-linear"), Families, 2),
        ("geometric", Weights({"a": 1, "b": 1}), Families, 2),
        ("hard", Weights({"a": 1, "b": 1}), Hard, 3),
    ],
)
def test_each_vote_keeps_the_sums_that_it_needs(
    vote: Voting, weights: Weights, kind: type, depth: int
) -> None:
    voters = [("a-f0", "a"), ("a-f1", "a"), ("b-f0", "b")]
    plan = evaluations_of(voters, weights.families, dict.fromkeys(dict(voters), 1.0), views=2)
    accumulator = accumulator_of(plan, vote, weights, 4)
    assert isinstance(accumulator, kind)
    assert accumulator.depth == depth


@pytest.mark.parametrize(
    ("decision", "expected"),
    [(Decision(), [0.5, 0.5]), (Decision(thresholds=(0.3, 0.7)), [0.3, 0.7])],
)
def test_a_multilabel_vote_takes_its_thresholds_or_a_half(
    decision: Decision, expected: list[float]
) -> None:
    plan = evaluations_of([("a-f0", "a")], {"a": 1.0}, {"a-f0": 1.0})
    accumulator = accumulator_of(
        plan, "soft", Weights({"a": 1.0}, decision=decision), 2, task="multilabel"
    )
    assert isinstance(accumulator, Soft)
    assert isinstance(accumulator.rule, Thresholds)
    assert accumulator.rule.thresholds.tolist() == expected


def test_a_log_linear_pool_of_labels_ends_with_those_of_the_full_vote() -> None:
    probs = np.random.default_rng(6).random((4, 30, 3)).astype(np.float32)
    voters = [("a-f0", "a"), ("a-f1", "a"), ("b-f0", "b"), ("b-f1", "b")]
    weights = Weights({"a": 0.8, "b": 0.5}, "log-linear")
    plan = evaluations_of(voters, weights.families, dict.fromkeys(dict(voters), 1.0))
    ballots = [Ballot(*who, p) for who, p in zip(voters, probs, strict=True)]
    by_name = {ballot.name: ballot.probs for ballot in ballots}
    accumulator = accumulator_of(plan, "soft", weights, 3, task="multilabel")
    trajectory = follow(accumulator, [by_name[e.member] for e in plan])
    full = fuse(ballots, "soft", weights, "multilabel").probs >= 0.5
    np.testing.assert_array_equal(trajectory.labels[-1], full)


def test_a_regression_has_no_ledger() -> None:
    plan = evaluations_of([("a-f0", "a")], {"a": 1.0}, {"a-f0": 1.0})
    with pytest.raises(UsageError, match="a regression has no labels"):
        accumulator_of(plan, "soft", Weights({"a": 1.0}), 1, task="regression")
