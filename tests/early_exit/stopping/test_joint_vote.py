"""Who answers what, how much a family has to say, and which votes are decided task by task."""

from dataclasses import replace

import pytest
from joint_exits import ALL, HEADS, PAIRS, WHOLE, tuned, vote_of, without

from ensemble.early_exit.stopping.joint_vote import JointVote, why_not_by_task
from ensemble.voting.decision import Decision


def test_the_parts_of_a_row_are_as_wide_as_what_is_answered() -> None:
    vote = vote_of(ALL)
    wide = [part.stop - part.start for part in vote.parts]
    assert wide == [3, 3, 1, 3, 9]
    assert (vote.parts[0].start, vote.width) == (0, 19)


def test_each_task_counts_as_one_in_a_product_and_a_label_as_all_of_them() -> None:
    assert vote_of(ALL).family_weights() == {"ages": 0.5, "kinds": 0.5, "two": 1.0, "whole": 2}


def test_tuned_weights_add_up_over_the_columns_of_a_family() -> None:
    weights = tuned(HEADS)
    told = vote_of(weights=weights).family_weights()
    numbers = weights.families
    assert told["two"] == numbers["two/age"] + numbers["two/kind"]
    assert told["ages"] == numbers["ages"]


@pytest.mark.parametrize(
    "vote",
    [
        vote_of(),
        vote_of((WHOLE,)),
        vote_of(label_map=without("4")),
        vote_of(weights=replace(tuned(HEADS), pool="linear")),
    ],
)
def test_heads_or_labels_alone_are_decided_task_by_task(vote: JointVote) -> None:
    assert not why_not_by_task(vote)


@pytest.mark.parametrize(
    ("vote", "words"),
    [
        (vote_of(ALL), r"families of the label itself \(whole\)"),
        (vote_of(weights=tuned(HEADS)), "exponents, which have no bound"),
        (
            vote_of(
                weights=replace(
                    tuned(HEADS),
                    pool="linear",
                    decision=Decision(prior_tau=1.0, prior=(1 / 9,) * len(PAIRS.labels)),
                )
            ),
            "a decision rule",
        ),
    ],
)
def test_other_votes_say_why_no_task_is_decided_and_what_to_use(
    vote: JointVote, words: str
) -> None:
    with pytest.raises(ValueError, match=f"{words}.*Use a certified exit such as 0.5%"):
        raise ValueError(why_not_by_task(vote))
