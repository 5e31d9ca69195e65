"""The label of several tasks: the vote itself after all, and no label lost by the lossless rule."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_exits import ALL, HEADS, PAIRS, WHOLE, seen, tuned, vote_of, whole_vote, without

from ensemble.early_exit.stopping.certificate import certify
from ensemble.early_exit.stopping.joint import Joint, joint_accumulator
from ensemble.early_exit.stopping.joint_vote import JointColumn, JointVote
from ensemble.early_exit.stopping.order import Evaluation
from ensemble.early_exit.stopping.trajectory import follow, replay, run
from ensemble.label_map import LabelMap
from ensemble.voting.decision import Decision

seeds = st.integers(0, 2**32 - 1)
LAW = settings(deadline=None, max_examples=30)

HARD = tuple(replace(each, spread=None) for each in HEADS)
VOTES = {
    "heads": vote_of(),
    "values cut hard": vote_of(HARD),
    "heads and labels": vote_of(ALL),
    "labels": vote_of((WHOLE,)),
    "a task of the label's": vote_of((HEADS[1], WHOLE)),
    "tuned": vote_of(ALL, weights=tuned(ALL)),
    "tuned heads": vote_of(HEADS, weights=tuned(HEADS)),
    "tuned with a rule": vote_of(
        ALL, weights=replace(tuned(ALL), temperature=2.0, decision=Decision(prior_tau=0.5,
                                                                            prior=(1 / 9,) * 9))
    ),
    "tuned means": vote_of(weights=replace(tuned(HEADS), pool="linear")),
    "impossible": vote_of(label_map=without("4")),
}  # fmt: skip


def clear(probs: np.ndarray) -> np.ndarray:
    """Tell where the best label leads by more than rounding."""
    top = np.sort(probs, axis=1)
    return np.asarray(top[:, -1] - top[:, -2] > 1e-9)


@pytest.mark.parametrize("name", VOTES)
def test_after_all_evaluations_the_labels_are_those_of_the_vote(name: str) -> None:
    shown = seen(VOTES[name], 1)
    labels = follow(shown.accumulator, shown.rows).labels[-1][:, 0]
    full = whole_vote(VOTES[name], shown)
    sure = clear(full.probs)
    assert (labels == full.labels)[sure].all()
    assert sure.sum() > 40


@LAW
@given(seeds, st.sampled_from(["heads", "values cut hard", "labels", "impossible"]))
def test_the_lossless_rule_keeps_every_label(seed: int, name: str) -> None:
    shown = seen(VOTES[name], seed)
    trajectory = follow(shown.accumulator, shown.rows)
    early = trajectory.evaluations(np.inf) < len(shown.rows)
    full = whole_vote(VOTES[name], shown)
    sure = early | clear(full.probs)
    assert (trajectory.labels_at(np.inf)[:, 0] == full.labels)[sure].all()
    assert early.any()


@LAW
@given(seeds, st.sampled_from(["heads", "values cut hard"]))
def test_the_lossless_rule_holds_when_every_score_is_off_by_noise(seed: int, name: str) -> None:
    noise, vote = 1e-3, VOTES[name]
    shown = seen(vote, seed, noise=noise)
    answered = shown.rows != 0
    other = shown.rows + answered * np.random.default_rng(seed).uniform(
        -noise, noise, shown.rows.shape
    )
    trajectory = follow(shown.accumulator, other)
    early = trajectory.evaluations(np.inf) < len(shown.rows)
    full = whole_vote(vote, shown).labels
    assert (trajectory.labels_at(np.inf)[:, 0] == full)[early].all()


@pytest.mark.parametrize("name", ["heads and labels", "tuned", "tuned heads", "tuned with a rule"])
def test_what_is_not_decided_task_by_task_ends_early_by_a_threshold_only(name: str) -> None:
    shown = seen(VOTES[name], 2)
    trajectory = follow(shown.accumulator, shown.rows)
    assert (trajectory.evaluations(np.inf) == len(shown.rows)).all()
    assert trajectory.evaluations(1.0).mean() < len(shown.rows)


def test_classes_that_make_no_label_decide_nothing() -> None:
    vote = vote_of(label_map=without("4"))
    shown = seen(vote, 3)
    sure = np.zeros_like(shown.rows)
    for column, part in zip(vote.columns, vote.parts, strict=True):
        own = [k for k, each in enumerate(shown.evaluations) if each.family == column.family]
        sure[own, :, part] = 45.0 if column.value else np.eye(3)[1]
    trajectory = follow(shown.accumulator, sure)
    assert (trajectory.evaluations(np.inf) == len(sure)).all(), "30-59 and shoe are no label"


def test_a_value_counts_once_all_its_evaluations_are_done() -> None:
    columns = (JointColumn("age", "age", "age", value=True), JointColumn("kind", "kind", "kind"))
    vote = vote_of(columns)
    evaluations = [Evaluation(f"{f}{n}", f, 0, 0.25) for f in ("kind", "age") for n in range(3)]
    rows = np.zeros((6, 1, 4))
    rows[:3, 0, 1:] = np.eye(3)[0]
    rows[3:, 0, 0] = 25.0, 25.0, 85.0
    accumulator = joint_accumulator(evaluations, vote)
    trajectory = follow(accumulator, rows)
    assert np.isinf(trajectory.z[:, 0]).tolist() == [False, False, False, False, False, True]
    assert trajectory.labels[-1].tolist() == [[1]], "folds of 25, 25 and 85 are 45, of 30-59"


def test_a_value_on_a_cut_leaves_its_task_open_for_the_noise() -> None:
    columns = (JointColumn("age", "age", "age", value=True), JointColumn("kind", "kind", "kind"))
    evaluations = [Evaluation("age", "age", 0, 0.4), Evaluation("k0", "kind", 0, 0.3),
                   Evaluation("k1", "kind", 0, 0.3)]  # fmt: skip
    rows = np.zeros((3, 2, 4))
    rows[0, :, 0] = 30.0, 45.0
    rows[1:, :, 1:] = [[0.9, 0.1, 0.0]]
    ended = follow(joint_accumulator(evaluations, vote_of(columns)), rows).evaluations(np.inf)
    assert ended.tolist() == [3, 3]
    rows[1, :, 1:] = [[1.0, 0.0, 0.0]]
    rows = np.concatenate([rows, rows[2:]])
    evaluations.append(Evaluation("k2", "kind", 0, 0.3))
    ended = follow(joint_accumulator(evaluations, vote_of(columns)), rows).evaluations(np.inf)
    assert ended.tolist() == [4, 3]


@pytest.mark.parametrize("name", ["heads", "heads and labels", "tuned"])
def test_a_certified_threshold_keeps_its_promise_on_the_other_images(name: str) -> None:
    vote, broken = VOTES[name], 0
    for seed in range(12):
        shown = seen(vote, seed, rows=600)
        drawn = np.random.default_rng(seed).permutation(600)[:200]
        calibrated = follow(shown.accumulator, shown.rows[:, drawn])
        found = certify(calibrated, 600, 0.05, 0.9, drawn=200)
        whole = follow(shown.accumulator, shown.rows)
        differ = whole.disagree(found.bound)
        differ[drawn] = False
        broken += int(differ.sum() > 0.05 * 600)
        assert found.threshold is not None
        assert whole.evaluations(found.bound).mean() < len(shown.rows)
    assert broken <= 3, "one in ten draws may fail"


def test_what_has_begun_stands_for_the_rest_of_its_task() -> None:
    vote = vote_of(weights=tuned(HEADS))
    exponents = vote.weights.families
    evaluations = [Evaluation(n, n, 0, 1.0) for n in ("kinds", "ages", "two")]
    rows = seen(vote, 4, folds=1).rows
    order = [e.family for e in seen(vote, 4, folds=1).evaluations]
    rows = rows[[order.index(e.family) for e in evaluations]]
    labels = follow(joint_accumulator(evaluations, vote), rows).labels[1, :, 0]
    age = (exponents["ages"] + exponents["two/age"]) * np.log(np.maximum(rows[1, :, :3], 1e-9))
    kind = exponents["kinds"] + exponents["two/kind"]
    kinds = kind * np.log(np.maximum(rows[0, :, 3:6], 1e-9))
    places = np.array(PAIRS.places)
    joint = vote.weights.joint
    offset = joint.rho * np.array(joint.dependence) if joint else 0.0
    scores = age[:, places[:, 0]] + kinds[:, places[:, 1]] + offset
    assert (labels == scores.argmax(1))[10:].all()


def test_an_evaluation_with_several_views_counts_as_they_would() -> None:
    vote = vote_of((JointColumn("age", "age", "age", value=True), HEADS[1]))
    evaluations = [Evaluation("age-f0", "age", 0, 2.0), Evaluation("age-f1", "age", 0, 1.0),
                   Evaluation("kinds", "kinds", 0, 1.0)]  # fmt: skip
    rows = np.zeros((3, 1, 4))
    rows[:, 0, 0] = 90.0, 5.0, 0.0
    rows[2, 0, 1:] = np.eye(3)[2]
    labels = follow(joint_accumulator(evaluations, vote), rows).labels
    assert labels[-1, 0, 0] == PAIRS.rows.index((">=60", "top")), "(90 + 90 + 5) / 3 is 62"


def replayed(accumulator: Joint, rows: np.ndarray) -> list[list[int]]:
    ends = run(accumulator, rows.shape[1], lambda k, at: rows[k, at])
    clean = replay(accumulator, ends)
    assert not any(map(len, (clean.early, clean.labels, clean.sums)))
    ends.sums[0, 12, 0] += 1.0
    ends.labels[13] = (ends.labels[13] + 1) % 9
    found = replay(accumulator, ends)
    return [found.labels.tolist(), found.sums.tolist()]


def test_sums_and_labels_that_were_changed_are_found() -> None:
    shown = seen(vote_of(), 6)
    labels, sums = replayed(shown.accumulator, shown.rows)
    assert 13 in labels
    assert sums == [12]


def test_a_vote_of_one_task_ends_with_its_classes() -> None:
    one = LabelMap(("0", "1", "2"), PAIRS.tasks[1:], tuple((kind,) for kind in ("bag", "shoe",
                                                                               "top")))  # fmt: skip
    vote = JointVote(one, (HEADS[1],), vote_of((HEADS[1],)).weights)
    shown = seen(vote, 7, folds=5)
    trajectory = follow(shown.accumulator, shown.rows)
    full = whole_vote(vote, shown)
    assert (trajectory.labels_at(np.inf)[:, 0] == full.labels)[clear(full.probs)].all()
    assert trajectory.evaluations(np.inf).mean() < 5
