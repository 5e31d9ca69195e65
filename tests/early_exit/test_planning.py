"""A plan is measured once, when its key is new; before that a forecast writes none."""

from collections.abc import Iterator

import pytest

from ensemble.early_exit import planning
from ensemble.early_exit.plan import PLAN
from ensemble.early_exit.planning import forecast_plan, open_plan
from ensemble.early_exit.setup import ExitSetup
from ensemble.errors import StoreError
from ensemble.predictions.store import Partition, open_partition
from ensemble.recipe.saving import Saving
from ensemble.records import MemberId
from ensemble.views.policy import preset

LOSSLESS = Saving("lossless", None, 0.95, 0)
FLIPS = preset("hflip")


def opened(setup: ExitSetup) -> Partition:
    store, told = setup.recipe.resources.store, setup.fingerprint(LOSSLESS)
    label = MemberId("labels", "early exit")
    return open_partition(store, told, images=len(setup.images), shard_size=4, label=label)


def timed(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Let measurements give these seconds in turn."""
    clock: Iterator[float] = iter(seconds)
    monkeypatch.setattr(planning, "seconds_per_image", lambda _: next(clock))


def test_the_folds_of_a_family_cost_the_least_of_them(
    flipped: ExitSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 0.3, 0.2)
    plan = open_plan(opened(flipped), flipped, LOSSLESS)
    assert {each.cost for each in plan.evaluations} == {0.2}
    assert len(plan.evaluations) == 4


def test_a_plan_that_is_there_is_not_measured_again(
    flipped: ExitSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 0.3, 0.2)
    partition = opened(flipped)
    assert open_plan(partition, flipped, LOSSLESS) == open_plan(partition, flipped, LOSSLESS)


def test_a_forecast_measures_and_writes_nothing(
    flipped: ExitSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch)
    partition = opened(flipped)
    plan, calibrated = forecast_plan(partition, flipped, LOSSLESS)
    assert (len(plan.evaluations), calibrated) == (4, 0)
    assert not (partition.folder / PLAN).exists()


def test_what_a_time_calibrates_is_unknown_before_costs_are_measured(flipped: ExitSetup) -> None:
    saving = Saving("budget", None, 0.95, 0, seconds=60.0)
    plan, calibrated = forecast_plan(opened(flipped), flipped, saving)
    assert (plan.calibrated, calibrated) == (0, None)


def test_parts_without_their_plan_are_refused(
    flipped: ExitSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = opened(flipped)
    monkeypatch.setattr(Partition, "begun", lambda *_: True)
    with pytest.raises(StoreError, match="cannot be read"):
        open_plan(partition, flipped, LOSSLESS)
