"""The evaluations at work: a member under a view of the host, or what the store has of it."""

import shutil

import numpy as np
import pytest

from ensemble.early_exit.plan import ExitPlan
from ensemble.early_exit.schedule import schedule_of
from ensemble.early_exit.setup import ExitSetup
from ensemble.errors import StoreError
from ensemble.inference.score import score_into_store
from ensemble.inference.start_members import start_members
from ensemble.progress import Quiet
from ensemble.views.policy import IDENTITY


def planned(setup: ExitSetup, *stored: str) -> ExitPlan:
    """Plan evaluations that cost alike; `stored` members need none."""
    keys = {r.member.card.name: setup.key(r) for r in setup.ready_members}
    evaluations = setup.evaluations(dict.fromkeys(setup.names, 1.0), stored)
    return ExitPlan(tuple(evaluations), 0.0, 0, {name: keys[name] for name in stored})


def in_store(setup: ExitSetup) -> None:
    """Keep the predictions of the first member under all views."""
    started = start_members(setup.recipe, setup.policy, Quiet())
    score_into_store(setup.recipe, started[:1], setup.image_set, Quiet())


def test_each_view_that_the_host_makes_is_an_evaluation(flipped: ExitSetup) -> None:
    schedule = schedule_of(flipped, planned(flipped))
    assert [stage.view for stage in schedule.stages] == [*flipped.policy[:1] * 2,
                                                         *flipped.policy[1:] * 2]  # fmt: skip
    assert (schedule.paid.tolist(), schedule.missing) == ([1.0] * 4, {})


def test_a_stored_member_is_one_evaluation_that_is_not_paid_for(flipped: ExitSetup) -> None:
    in_store(flipped)
    schedule = schedule_of(flipped, planned(flipped, "ant-f0"))
    first = schedule.stages[0]
    assert (first.job.name, first.view, schedule.paid.tolist()) == ("ant-f0", IDENTITY, [0, 1, 1])
    assert first.stored is not None
    assert first.stored.shape == (len(flipped.images), len(flipped.head.classes))
    np.testing.assert_allclose(first.stored.sum(1), 1, atol=1e-6)


def test_stored_predictions_that_are_gone_are_told_by_their_key(flipped: ExitSetup) -> None:
    in_store(flipped)
    plan = planned(flipped, "ant-f0")
    shutil.rmtree(flipped.recipe.resources.store / "predictions")
    with pytest.raises(StoreError, match=f"{plan.stored['ant-f0']}.*make them again"):
        schedule_of(flipped, plan)
