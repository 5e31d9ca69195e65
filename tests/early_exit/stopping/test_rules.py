"""A rule tells labels, margins and certainty; where none is certain it tells why not."""

import numpy as np
import pytest
from exits import PRIOR

from ensemble.early_exit.stopping.accumulators import Soft
from ensemble.early_exit.stopping.rules import Argmax, slack, why_not
from ensemble.early_exit.stopping.trajectory import follow
from ensemble.voting.decision import Decision


def test_a_lead_equal_to_what_is_left_is_no_exit() -> None:
    tied = np.array([[[1.0, 0]], [[1.0, 0]], [[0, 1.0]], [[0, 1.0]]])
    course = follow(Soft(np.full(4, 0.25), Argmax(np.ones(2)), slack()), tied)
    assert course.evaluations(np.inf).tolist() == [4]


def test_a_soft_vote_for_labels_may_end_early() -> None:
    assert why_not(voting="soft", pool="linear", task="classification", temperature=2,
                   decision=PRIOR, labels=True) == ""  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"labels": False}, "probabilities change"),
        ({"task": "regression"}, "no bound"),
        ({"voting": "geometric"}, "certified"),
        ({"pool": "log-linear"}, "certified"),
        ({"pool": "rank"}, "linear pool"),
        ({"voting": "rank"}, "linear pool"),
        ({"decision": Decision(cut_points=(0.5,)), "temperature": 2.0}, "certified"),
    ],
)
def test_the_reason_against_it_names_the_alternative(
    changed: dict[str, object], words: str
) -> None:
    plain = {"voting": "soft", "pool": "linear", "task": "classification", "temperature": 1.0,
             "decision": Decision(), "labels": True}  # fmt: skip
    assert words in why_not(**{**plain, **changed})  # type: ignore[arg-type]
