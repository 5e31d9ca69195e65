"""The laws of voting, and scikit-learn as the oracle."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import VotingClassifier
from sklearn.preprocessing import LabelEncoder

from ensemble.errors import UsageError
from ensemble.records import Task, Voting
from ensemble.voting import pools
from ensemble.voting.blend import decide, labels_given
from ensemble.voting.decision import Decision
from ensemble.voting.vote import Ballot, check_vote, family_means, fuse
from ensemble.voting.weights import Weights

VOTINGS: tuple[Voting, ...] = ("soft", "hard", "geometric")


def ballots(seed: int, members: int = 4, rows: int = 30, classes: int = 5) -> list[Ballot]:
    """Random members, each a family of its own."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes), (members, rows)).astype(np.float32)
    return [Ballot(f"m{i}-f0", f"m{i}", p) for i, p in enumerate(probs)]


seeds = st.integers(0, 2**32 - 1)
votings = st.sampled_from(VOTINGS)


@settings(deadline=None, max_examples=25)
@given(seeds, votings)
def test_the_order_of_the_members_changes_no_bit(seed: int, voting: Voting) -> None:
    given_order = ballots(seed, members=3)
    weights = {"m0": 0.2, "m1": 0.5, "m2": 0.3}
    first = fuse(given_order, voting, Weights(weights), "classification")
    for order in permutations(given_order):
        again = fuse(order, voting, Weights(weights), "classification")
        assert np.array_equal(again.probs, first.probs)
        assert np.array_equal(again.labels, first.labels)


@settings(deadline=None, max_examples=25)
@given(seeds, votings, st.floats(1e-3, 1e3))
def test_the_scale_of_the_weights_does_not_matter(seed: int, voting: Voting, scale: float) -> None:
    voters = ballots(seed, members=3)
    weights = {"m0": 0.2, "m1": 0.5, "m2": 0.3}
    first = fuse(voters, voting, Weights(weights), "classification")
    scaled = {family: scale * w for family, w in weights.items()}
    again = fuse(voters, voting, Weights(scaled), "classification")
    np.testing.assert_allclose(again.probs, first.probs, atol=1e-12)
    assert np.array_equal(again.labels, first.labels)


@settings(deadline=None, max_examples=25)
@given(seeds, votings)
def test_a_one_hot_weight_gives_that_member(seed: int, voting: Voting) -> None:
    voters = ballots(seed)
    weights = {"m0": 0.0, "m1": 0.0, "m2": 1.0, "m3": 0.0}
    fused = fuse(voters, voting, Weights(weights), "classification")
    assert np.array_equal(fused.labels, voters[2].probs.argmax(1))


@settings(deadline=None, max_examples=25)
@given(seeds, votings)
def test_identical_members_give_that_member(seed: int, voting: Voting) -> None:
    one = ballots(seed, members=1)[0].probs
    voters = [Ballot(f"m{i}", f"m{i}", one) for i in range(3)]
    fused = fuse(voters, voting, None, "classification")
    assert np.array_equal(fused.labels, one.argmax(1))
    if voting == "soft":
        np.testing.assert_allclose(fused.probs, one, atol=1e-12)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_it_agrees_with_sklearn(voting: Voting) -> None:
    voters = ballots(7, members=4, rows=200)
    weights = [0.11, 0.43, 0.29, 0.17]  # no two sets of these tie
    judge = VotingClassifier([(b.name, None) for b in voters], voting=voting, weights=weights)
    judge.estimators_ = [_Fixed(b.probs.astype(np.float64)) for b in voters]
    judge.le_ = LabelEncoder().fit(np.arange(5))
    judge.classes_ = judge.le_.classes_
    rows = np.arange(200).reshape(-1, 1)
    named = Weights({f"m{i}": w for i, w in enumerate(weights)})
    fused = fuse(voters, voting, named, "classification")
    assert np.array_equal(fused.labels, judge.predict(rows))
    if voting == "soft":
        np.testing.assert_allclose(fused.probs, judge.predict_proba(rows), atol=1e-12)


def test_the_folds_of_a_family_are_averaged_before_families_are_weighed() -> None:
    a = ballots(1, members=3)
    voters = [
        Ballot("a-f0", "a", a[0].probs),
        Ballot("a-f1", "a", a[1].probs),
        Ballot("b-f0", "b", a[2].probs),
    ]
    fused = fuse(voters, "soft", Weights({"a": 1, "b": 3}), "classification")
    family = (a[0].probs.astype(np.float64) + a[1].probs) / 2
    np.testing.assert_allclose(fused.probs, (family + 3.0 * a[2].probs) / 4, atol=1e-12)


def test_a_tied_hard_vote_goes_to_the_largest_summed_probability() -> None:
    first = np.array([[0.6, 0.4, 0.0]], np.float32)
    second = np.array([[0.1, 0.9, 0.0]], np.float32)
    fused = fuse(
        [Ballot("a", "a", first), Ballot("b", "b", second)], "hard", None, "classification"
    )
    assert fused.labels.tolist() == [1]


def test_what_is_still_tied_goes_to_the_lowest_class() -> None:
    first = np.array([[0.0, 0.75, 0.25]], np.float32)
    second = np.array([[0.0, 0.25, 0.75]], np.float32)
    fused = fuse(
        [Ballot("a", "a", first), Ballot("b", "b", second)], "hard", None, "classification"
    )
    assert fused.labels.tolist() == [1]


def test_the_geometric_pool_does_not_underflow_and_sums_to_one() -> None:
    tiny = np.array([[1e-30, 1e-20, 1.0]], np.float32)
    voters = [Ballot(f"m{i}", f"m{i}", tiny) for i in range(8)]
    fused = fuse(voters, "geometric", None, "classification")
    np.testing.assert_allclose(fused.probs.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(fused.probs[0, 1], 1e-20, rtol=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"m0": 1.0}, "no weight for"),
        ({"m0": 1.0, "m1": 1.0, "zebra": 1.0}, "no family for"),
        ({"m0": -1.0, "m1": 1.0}, "at least 0"),
        ({"m0": 0.0, "m1": 0.0}, "not all 0"),
        ({"m0": float("nan"), "m1": 1.0}, "finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fuse(ballots(0, members=2), "soft", Weights(weights), "classification")


def test_a_hard_vote_over_labels_of_a_multilabel_head_is_refused() -> None:
    with pytest.raises(UsageError, match="hard vote"):
        fuse(ballots(0), "hard", None, "multilabel")


def test_family_means_are_named_in_sorted_order() -> None:
    assert list(family_means(reversed_ballots())) == ["m0", "m1", "m2", "m3"]


def reversed_ballots() -> list[Ballot]:
    """The ballots, last first."""
    return ballots(0)[::-1]


class _Fixed:
    """An estimator that knows its answers."""

    def __init__(self, probs: NDArray[np.float64]) -> None:
        self._probs = probs

    def predict(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._probs[rows[:, 0]].argmax(1)

    def predict_proba(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return self._probs[rows[:, 0]]


def test_where_every_class_is_excluded_the_linear_pool_decides() -> None:
    rows = {"a": [[0.0, 0.7, 0.3, 0.0]], "b": [[0.2, 0.0, 0.0, 0.8]]}
    ballots = [Ballot(f"{n}-f0", n, np.array(r, np.float32)) for n, r in rows.items()]
    found = fuse(ballots, "geometric", None, "classification")
    assert found.labels.tolist() == [3]
    np.testing.assert_allclose(found.probs, [[0.1, 0.35, 0.15, 0.4]], atol=1e-7)


def test_tuned_weights_apply_their_pool_temperature_and_rule() -> None:
    voters = ballots(3, members=2, classes=3)
    stack = np.stack([b.probs.astype(np.float64) for b in voters])
    families = {"m0": 0.4, "m1": 0.9}
    logs = fuse(voters, "soft", Weights(families, "log-linear"), "classification")
    np.testing.assert_array_equal(logs.probs, pools.log_linear(stack, np.array([0.4, 0.9])))
    warm = fuse(voters, "soft", Weights(families, temperature=2.0), "classification")
    linear = pools.linear(stack, np.array([0.4, 0.9]))
    np.testing.assert_array_equal(warm.probs, pools.tempered(linear, 2.0))
    prior = (0.7, 0.2, 0.1)
    ruled = fuse(voters, "soft", Weights(families, decision=Decision(0.5, prior)), "classification")
    np.testing.assert_array_equal(ruled.labels, (linear / np.array(prior) ** 0.5).argmax(1))
    np.testing.assert_array_equal(ruled.probs, linear)
    cuts = Weights(families, decision=Decision(cut_points=(0.8, 1.1)))
    level = linear @ np.arange(3)
    expected = (level >= 0.8).astype(int) + (level >= 1.1)
    np.testing.assert_array_equal(fuse(voters, "soft", cuts, "classification").labels, expected)


@pytest.mark.parametrize("voting", ["hard", "geometric"])
def test_tuned_weights_go_with_a_soft_vote_only(voting: Voting) -> None:
    tuned = Weights({"m0": 1, "m1": 1}, "log-linear")
    with pytest.raises(UsageError, match="soft vote"):
        fuse(ballots(0, members=2), voting, tuned, "classification")


RANKED = Weights(
    {"m0": 1, "m1": 3}, "rank", ranks={f"m{i}": ((0.0, 0.2, 1.0),) * 5 for i in range(2)}
)


def test_a_rank_vote_is_the_weighted_mean_of_ranks() -> None:
    voters = ballots(5, members=2)
    stack = np.stack([b.probs.astype(np.float64) for b in voters])
    ranks = np.where(stack <= 0.2, stack / 0.4, 0.5 + (stack - 0.2) / 1.6)
    for voting in ("soft", "rank"):
        found = fuse(voters, voting, RANKED, "classification")
        np.testing.assert_allclose(found.probs, (ranks[0] + 3 * ranks[1]) / 4, atol=1e-12)


def test_a_rank_vote_keeps_the_order_within_a_family() -> None:
    voters = ballots(6, members=1)
    lone = Weights({"m0": 1}, ranks={"m0": RANKED.ranks["m0"]})
    found = fuse(voters, "rank", lone, "classification")
    for c in range(5):
        assert np.array_equal(np.argsort(found.probs[:, c]), np.argsort(voters[0].probs[:, c]))


@pytest.mark.parametrize(
    ("voting", "weights", "message"),
    [
        ("rank", None, "tune-weights --pool rank"),
        ("rank", Weights({"m0": 1, "m1": 1}), "tune-weights --pool rank"),
        ("hard", RANKED, "do not go with --voting hard"),
        ("rank", replace(RANKED, pool="log-linear"), "log-linear pool"),
        ("rank", replace(RANKED, temperature=2.0), "temperature"),
    ],
)
def test_a_rank_vote_without_a_meaning_is_refused(
    voting: Voting, weights: Weights | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        fuse(ballots(0, members=2), voting, weights, "classification")


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_a_rank_vote_of_what_are_no_classes_is_refused(task: Task) -> None:
    with pytest.raises(UsageError, match="ranks of classes"):
        fuse(ballots(0, members=2), "rank", RANKED, task)


def test_a_temperature_goes_with_a_log_linear_pool_too() -> None:
    voters = ballots(3, members=2, classes=3)
    cool = Weights({"m0": 0.4, "m1": 0.9}, "log-linear", 0.8)
    found = fuse(voters, "soft", cool, "classification")
    scaled = Weights({"m0": 0.4 / 0.8, "m1": 0.9 / 0.8}, "log-linear")
    expected = fuse(voters, "soft", scaled, "classification")
    np.testing.assert_allclose(found.probs, expected.probs, atol=1e-6)


def test_cuts_go_by_the_order_of_the_classes_wherever_they_stand() -> None:
    voters, order = ballots(4, classes=5), (3, 0, 4, 1, 2)
    rule = Decision(cut_points=(0.9, 1.8, 2.1, 2.6))
    ascending = [replace(b, probs=b.probs[:, order]) for b in voters]
    families = dict.fromkeys(("m0", "m1", "m2", "m3"), 1.0)
    plain = fuse(ascending, "soft", Weights(families, decision=rule), "classification")
    placed = Weights(families, decision=replace(rule, order=order))
    found = fuse(voters, "soft", placed, "classification")
    assert len(set(found.labels.tolist())) > 3
    np.testing.assert_array_equal(found.labels, np.array(order)[plain.labels])


# ---- what has a meaning for which task


@pytest.mark.parametrize(
    ("voting", "task", "message"),
    [
        ("hard", "multilabel", "a hard vote needs classes; this head is multilabel. Use --voting"),
        ("hard", "regression", "a hard vote needs classes; this head is regression"),
        ("geometric", "regression", "a geometric vote needs probabilities"),
    ],
)
def test_a_vote_without_a_meaning_for_the_task_is_refused(
    voting: Voting, task: Task, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_vote(voting, None, task)


@pytest.mark.parametrize(
    ("weights", "task", "message"),
    [
        (Weights({"a": 1}, task="regression"), "classification", "were tuned for regression; this"),
        (Weights({"a": 1}, temperature=2.0), "multilabel", "were tuned for classification; this"),
        (Weights({"a": 1}, decision=Decision(0.5, (1, 1))), "regression", "tuned for classifica"),
        (Weights({"a": 1}, decision=Decision(cut_points=(0.5,))), "multilabel", "tuned for class"),
        (Weights({"a": 1}, decision=Decision(thresholds=(0.5,))), "classification",
         "thresholds decide the labels of a multilabel head; this head is classification"),
        (Weights({"a": 1}, "log-linear"), "regression", "a log-linear pool needs probabilities"),
    ],
)  # fmt: skip
def test_weights_without_a_meaning_for_the_task_are_refused(
    weights: Weights, task: Task, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_vote("soft", weights, task)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_what_has_no_single_class_has_no_label(task: Task) -> None:
    fused = fuse(ballots(0), "soft", None, task)
    assert len(fused.labels) == 0
    assert fused.probs.shape == (30, 5)


def test_values_of_a_regression_are_averaged_whatever_their_sign() -> None:
    rows = {"a": [[-10.0, 1e6]], "b": [[20.0, -1e6]]}
    voters = [Ballot(n, n, np.array(r, np.float32)) for n, r in rows.items()]
    fused = fuse(voters, "soft", Weights({"a": 1, "b": 2}), "regression")
    np.testing.assert_allclose(fused.probs, [[10.0, -1e6 / 3]])


def test_geometric_labels_are_not_divided_by_their_sum() -> None:
    voters = [Ballot(n, n, np.full((1, 2), p)) for n, p in (("a", 0.9), ("b", 0.4))]
    fused = fuse(voters, "geometric", None, "multilabel")
    np.testing.assert_allclose(fused.probs, [[0.6, 0.6]])


def test_a_log_linear_pool_of_labels_takes_each_alone() -> None:
    voters = ballots(2, members=2)
    weights = Weights({"m0": 0.7, "m1": 0.2}, "log-linear")
    both = fuse(voters, "soft", weights, "multilabel").probs
    for c in range(5):
        alone = [replace(b, probs=b.probs[:, c : c + 1]) for b in voters]
        found = fuse(alone, "soft", weights, "multilabel").probs
        np.testing.assert_allclose(found[:, 0], both[:, c], rtol=1e-12)


# ---- decisions


@pytest.mark.parametrize(
    ("decision", "labels"),
    [
        (Decision(), [0, 1]),
        (Decision(1.0, (0.9, 0.05, 0.05)), [2, 1]),
        (Decision(cut_points=(0.2, 0.9)), [1, 2]),
    ],
)
def test_a_rule_decides_the_label(decision: Decision, labels: list[int]) -> None:
    probs = np.array([[0.6, 0.1, 0.3], [0.1, 0.8, 0.1]])
    assert decide(probs, decision).tolist() == labels


def test_cuts_go_before_a_prior() -> None:
    probs = np.array([[0.6, 0.1, 0.3]])
    both = Decision(1.0, (0.9, 0.05, 0.05), cut_points=(0.2, 0.9))
    assert decide(probs, both).tolist() == [1]


@pytest.mark.parametrize(
    ("thresholds", "given"), [((), [0.0, 1.0, 1.0]), ((0.4, 0.5, 0.9), [1.0, 1.0, 0.0])]
)
def test_a_label_is_given_from_its_threshold_on(
    thresholds: tuple[float, ...], given: list[float]
) -> None:
    found = labels_given(np.array([[0.4, 0.5, 0.8]]), Decision(thresholds=thresholds))
    assert found.tolist() == [given]


# ---- folds and families


@settings(deadline=None, max_examples=25)
@given(seeds, votings)
def test_a_fold_given_twice_changes_no_label(seed: int, voting: Voting) -> None:
    voters = ballots(seed, members=3)
    doubled = [replace(b, name=f"{b.name}{copy}") for b in voters for copy in "xy"]
    one, two = (fuse(v, voting, None, "classification") for v in (voters, doubled))
    np.testing.assert_allclose(two.probs, one.probs, atol=1e-12)
    assert np.array_equal(two.labels, one.labels)


def test_a_family_of_many_folds_weighs_no_more_than_one_of_few() -> None:
    wide = [Ballot(f"a-f{n}", "a", np.array([[0.9, 0.1]])) for n in range(5)]
    lone = Ballot("b-f0", "b", np.array([[0.1, 0.9]]))
    for voting in ("soft", "hard"):
        fused = fuse([*wide, lone], voting, None, "classification")
        np.testing.assert_allclose(fused.probs, [[0.5, 0.5]], atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_family_means_are_those_of_a_slow_loop(seed: int) -> None:
    voters = [replace(b, family="ab"[n % 2]) for n, b in enumerate(ballots(seed, members=5))]
    for name, mean in family_means(voters).items():
        own = [b.probs.astype(np.float64) for b in voters if b.family == name]
        np.testing.assert_allclose(mean, sum(own) / len(own), atol=1e-15)


@settings(deadline=None, max_examples=25)
@given(seeds, votings)
def test_rows_are_fused_each_alone(seed: int, voting: Voting) -> None:
    voters = ballots(seed, rows=4)
    together = fuse(voters, voting, None, "classification")
    for row in range(4):
        alone = [replace(b, probs=b.probs[row : row + 1]) for b in voters]
        found = fuse(alone, voting, None, "classification")
        np.testing.assert_allclose(found.probs[0], together.probs[row], atol=1e-12)
        assert found.labels[0] == together.labels[row]


def test_no_rows_are_no_fault() -> None:
    for voting in VOTINGS:
        fused = fuse(ballots(0, rows=0), voting, None, "classification")
        assert (fused.probs.shape, len(fused.labels)) == ((0, 5), 0)
