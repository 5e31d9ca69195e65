"""A budget is kept shard by shard, by evaluations or by the clock."""

import numpy as np
import pytest
from exits import ONES, K, simulated, taken, trajectory
from hypothesis import given
from hypothesis import strategies as st

from ensemble.early_exit.stopping.thresholds import (
    Budget,
    Deadline,
    Spending,
    Steady,
    changed,
    cost_of,
    mean_cost,
    threshold_for,
)
from ensemble.early_exit.stopping.trajectory import Trajectory
from ensemble.errors import UsageError


def test_the_cost_of_images_is_that_of_their_evaluations() -> None:
    costs = np.array([1.0, 2.0, 4.0])
    assert cost_of(np.array([1, 3, 2]), costs) == 1 + 7 + 3
    assert cost_of(np.empty(0, np.int64), costs) == 0


def test_a_steady_pace_takes_no_notice() -> None:
    pace = Steady(1.5)
    pace.note(10, np.full(10, 9))
    assert pace.threshold() == 1.5


def test_what_a_shard_overspends_the_next_ones_save() -> None:
    pace = Spending(trajectory(), ONES, Budget(400.0, 100))
    before = pace.threshold()
    pace.note(20, np.full(20, 8))
    assert pace.threshold() < before
    pace.note(20, np.full(20, 1))
    assert mean_cost(trajectory(), ONES, pace.threshold()) == pytest.approx(220 / 60, abs=0.2)


def test_a_budget_that_is_used_up_leaves_one_evaluation_an_image() -> None:
    pace = Spending(trajectory(), ONES, Budget(100.0, 50))
    pace.note(25, np.full(25, 10))
    assert mean_cost(trajectory(), ONES, pace.threshold()) == 1


class Clock:
    """A clock that stands still unless it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def ran(seconds: float, per_unit: float, overhead: float, shard: int = 50) -> float:
    """Run 1000 images against a deadline, each evaluation taking its time; return when it ends."""
    clock, seen = Clock(), trajectory()
    pace = Deadline(seen, ONES, seconds, 1000, per_unit / 3, clock=clock)
    for start in range(0, 1000, shard):
        threshold = pace.threshold()
        taken = seen.evaluations(threshold)[np.arange(start, start + shard) % 400]
        clock.now += shard * overhead + per_unit * cost_of(taken, ONES)
        pace.note(shard, taken)
    return clock.now


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("overhead", [0.0, 0.001])
def test_a_run_ends_in_time_though_its_speed_was_guessed_wrong(
    share: float, overhead: float
) -> None:
    full = 1000 * (K * 0.01 + overhead)
    assert 0.7 * share * full < ran(share * full, 0.01, overhead) <= 1.02 * share * full


def test_shards_that_end_on_stored_predictions_slow_no_later_one() -> None:
    clock, seen, costs = Clock(), trajectory(), np.array([1e-9, *ONES[1:]])
    pace = Deadline(seen, costs, 3000.0, 1000, 1.0, clock=clock)
    for start in range(0, 1000, 50):
        rows = np.arange(start, start + 50) % 400
        taken = seen.evaluations(pace.threshold())[rows]
        if start < 150:  # all of them end at once
            taken = np.ones(50, np.int64)
        clock.now += 50 * 1.0 + cost_of(taken, costs)  # a second to decode, a second to evaluate
        pace.note(50, taken)
    assert 0.95 * 3000 < clock.now <= 1.02 * 3000


def test_shards_of_an_earlier_run_say_nothing_of_the_speed_or_of_what_is_left() -> None:
    clock = Clock()
    pace = Deadline(trajectory(), ONES, 10.0, 1000, 0.01, clock=clock)
    before = pace.threshold()
    pace.skip(500, np.full(500, 9))
    assert (pace.ratio, pace.images) == (0.01, 1000)
    assert pace.threshold() == before


def test_what_is_certified_costs_no_more_though_the_budget_would_pay() -> None:
    assert Spending(trajectory(), ONES, Budget(900.0, 100), limit=1.0).threshold() == 1.0
    assert Deadline(trajectory(), ONES, 1e9, 100, 0.01, limit=1.0).threshold() == 1.0


def test_a_last_small_shard_does_not_pay_for_all_that_was_overspent() -> None:
    strict = Spending(trajectory(), ONES, Budget(404.0, 101))
    kind = Spending(trajectory(), ONES, Budget(404.0, 101), horizon=100)
    for pace in (strict, kind):
        pace.note(100, np.full(100, 4) + (np.arange(100) < 20))
    assert strict.threshold() < kind.threshold()


def test_a_deadline_that_is_past_leaves_one_evaluation_an_image() -> None:
    clock = Clock()
    pace = Deadline(trajectory(), ONES, 10.0, 1000, 0.01, clock=clock)
    clock.now = 11.0
    assert pace.threshold() == 0


def drawn(rng: np.random.Generator, images: int) -> Trajectory:
    """Images that go their way as those of `course` do."""
    z = np.cumsum(rng.exponential(1, (K, images)), 0)
    z[-1] = np.inf
    return Trajectory(np.zeros((K, images, 1), np.int64), z)


@pytest.mark.parametrize("images", [3, 60, 230, 900, 2000])
@pytest.mark.parametrize("per_image", [1.0, 1.5, 3.0, 6.0, 9.5])
@pytest.mark.parametrize("limit", [2.0, np.inf])
@pytest.mark.parametrize("free", [0, 2])
def test_a_budget_of_evaluations_is_never_overspent(
    images: int, per_image: float, limit: float, free: int
) -> None:
    costs = np.append(np.zeros(free), np.ones(K - free))
    rng = np.random.default_rng(images)
    pace = Spending(drawn(rng, 20), costs, Budget(per_image * images, images), limit, horizon=400)
    left = drawn(rng, images)
    spent = 0.0
    for start in range(0, images, 100):
        part = Trajectory(left.labels[:, start : start + 100], left.z[:, start : start + 100])
        n = part.z.shape[1]
        made = taken(part, pace.threshold(), pace.cap(n))
        pace.note(n, made)
        spent += cost_of(made, costs)
    assert spent <= per_image * images + 1e-6


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_budget_is_met_and_nearly_spent(share: float) -> None:
    trajectory, costs = simulated(5, 3000), np.linspace(1, 2, 10)
    per_image = share * costs.sum()
    spent = mean_cost(trajectory, costs, threshold_for(trajectory, costs, per_image))
    assert 0.95 * per_image < spent <= per_image


def test_a_budget_above_the_lossless_rule_is_the_lossless_rule() -> None:
    assert threshold_for(simulated(5, 300), np.ones(10), 10.0) == np.inf


@pytest.mark.parametrize(("per_image", "threshold"), [(1.0, 0.0), (9.9, 0.0), (10.0, np.inf)])
def test_of_a_course_without_images_each_evaluation_counts(
    per_image: float, threshold: float
) -> None:
    trajectory = Trajectory(np.empty((10, 0, 1), np.int64), np.empty((10, 0)))
    assert threshold_for(trajectory, np.ones(10), per_image) == threshold


def test_a_budget_below_one_evaluation_is_refused() -> None:
    with pytest.raises(UsageError, match="first evaluation"):
        threshold_for(simulated(5, 300), np.ones(10), 0.5)


def test_a_budget_spent_by_need_differs_less_than_the_same_spent_evenly() -> None:
    trajectory = simulated(6, 3000)
    by_need = trajectory.disagree(threshold_for(trajectory, np.ones(10), 3.0)).mean()
    evenly = (trajectory.labels[2] != trajectory.labels[-1]).any(1).mean()
    assert by_need < 0.5 * evenly


def test_what_a_shard_saves_goes_to_the_rest() -> None:
    budget = Budget(100.0, 50).after(10, 5.0)
    assert budget == Budget(95.0, 40)
    assert budget.per_image == pytest.approx(95 / 40)


def test_the_labels_a_budget_changes_are_those_that_its_thresholds_change() -> None:
    trajectory = simulated(7, 400)
    bold, careful = trajectory.disagree(0.5).mean(), trajectory.disagree(2.0).mean()
    thresholds = np.repeat([0.5, 2.0, np.inf], [60, 30, 10])
    found = changed(trajectory, np.full(100, 3), thresholds)
    assert found == pytest.approx(0.6 * bold + 0.3 * careful)


def test_an_image_that_a_spent_budget_ended_counts_as_those_that_get_as_far() -> None:
    trajectory = simulated(7, 400)
    there = [n for n, k in enumerate(trajectory.evaluations(np.inf)) if k >= 4]
    differ = [bool((trajectory.labels[3, n] != trajectory.labels[-1, n]).any()) for n in there]
    assert changed(trajectory, np.full(5, 4), np.zeros(5)) == pytest.approx(np.mean(differ))


def test_without_calibrated_images_no_label_is_known_to_change() -> None:
    trajectory = Trajectory(np.empty((10, 0, 1), np.int64), np.empty((10, 0)))
    assert changed(trajectory, np.full(5, 4), np.zeros(5)) == 0


@given(ended=st.lists(st.integers(1, K), max_size=9), seed=st.integers(0, 99))
def test_the_cost_is_that_of_a_loop(ended: list[int], seed: int) -> None:
    costs = np.random.default_rng(seed).random(K)
    expected = sum(sum(costs[:k].tolist()) for k in ended)
    assert cost_of(np.array(ended, np.int64), costs) == pytest.approx(expected)


@given(low=st.floats(0, 20), high=st.floats(0, 20))
def test_a_more_careful_threshold_never_costs_less(low: float, high: float) -> None:
    low, high = sorted((low, high))
    seen = trajectory(60)
    assert mean_cost(seen, ONES, low) <= mean_cost(seen, ONES, high)


@given(per_image=st.floats(1, K + 1), seed=st.integers(0, 99))
def test_the_threshold_of_a_budget_is_the_most_careful_of_all_that_it_pays_for(
    per_image: float, seed: int
) -> None:
    seen = drawn(np.random.default_rng(seed), 12)
    found = threshold_for(seen, ONES, per_image)
    paid = [t for t in [0.0, *seen.z.ravel(), np.inf] if mean_cost(seen, ONES, t) <= per_image]
    assert found == max(paid)


def test_a_grid_of_thresholds_is_the_only_choice_beside_0_and_the_lossless_rule() -> None:
    assert threshold_for(trajectory(), ONES, 5.0, (2.0, 4.0, 6.0)) in (2.0, 4.0, 6.0)
    assert threshold_for(trajectory(), ONES, 1.0, (2.0, 4.0)) == 0.0
    assert threshold_for(trajectory(), ONES, 10.0, (2.0, 4.0)) == np.inf


def test_a_threshold_that_a_budget_pays_for_grows_with_the_budget() -> None:
    found = [threshold_for(trajectory(), ONES, share) for share in (1, 2, 4, 8, 10)]
    assert found == sorted(found)


def test_the_message_of_a_budget_too_small_tells_both_costs() -> None:
    expected = "the budget allows 0.5 an image, and the first evaluation alone costs 2"
    with pytest.raises(UsageError, match=expected):
        threshold_for(trajectory(), 2 * ONES, 0.5)


def test_the_last_image_leaves_a_budget_that_divides_by_one() -> None:
    spent = Budget(10.0, 5).after(5, 7.0)
    assert (spent.images, spent.per_image) == (0, 3.0)


def test_a_steady_pace_caps_nothing_and_skips_without_notice() -> None:
    pace = Steady(2.0)
    pace.skip(10, np.full(10, 9))
    assert pace.cap(10) is None
    assert pace.threshold() == 2.0


def test_what_an_earlier_run_spent_is_off_the_budget_too() -> None:
    noted, skipped = (Spending(trajectory(), ONES, Budget(400.0, 100)) for _ in range(2))
    noted.note(30, np.full(30, 7))
    skipped.skip(30, np.full(30, 7))
    assert noted.budget == skipped.budget == Budget(190.0, 70)
    assert noted.threshold() == skipped.threshold()


def test_the_cap_of_the_only_shard_is_the_budget() -> None:
    assert Spending(trajectory(), ONES, Budget(400.0, 100)).cap(100).most == 400.0


def test_a_shard_borrows_nothing_of_those_to_come() -> None:
    pace = Spending(trajectory(), ONES, Budget(400.0, 100))
    assert pace.cap(25).most == pytest.approx(100.0)


def test_a_shard_may_have_what_earlier_ones_saved() -> None:
    pace = Spending(trajectory(), ONES, Budget(400.0, 100))
    pace.note(50, np.full(50, 2))
    assert pace.cap(25).most == pytest.approx(300.0 - 25 * 4.0)


def test_a_shard_always_pays_for_one_evaluation_of_each_image() -> None:
    pace = Spending(trajectory(), ONES, Budget(100.0, 50))
    pace.note(25, np.full(25, 10))
    assert pace.cap(10).most == 10.0


def test_a_budget_that_pays_for_the_largest_threshold_lends_to_a_shard() -> None:
    pace = Spending(trajectory(), ONES, Budget(900.0, 100), limit=1.0)
    assert pace.cap(25).most == 900.0 - 75.0


def test_a_deadline_caps_no_shard() -> None:
    assert Deadline(trajectory(), ONES, 10.0, 100, 0.01, clock=Clock()).cap(10) is None


def test_a_deadline_learns_the_seconds_of_a_unit_from_the_last_shard() -> None:
    clock = Clock()
    pace = Deadline(trajectory(), ONES, 1000.0, 100, 0.5, clock=clock)
    pace.threshold()
    clock.now = 30.0
    pace.note(10, np.full(10, 6))
    assert (pace.ratio, pace.images) == (0.5, 90)
    pace.threshold()
    clock.now = 45.0
    pace.note(10, np.full(10, 6))
    assert (pace.ratio, pace.images) == (0.25, 80)


def test_a_shard_without_pixels_says_nothing_of_the_speed() -> None:
    clock = Clock()
    pace = Deadline(trajectory(), ONES, 1000.0, 100, 0.5, clock=clock)
    pace.threshold()
    clock.now = 30.0
    pace.note(10, np.empty(0, np.int64))
    assert (pace.ratio, pace.images) == (0.5, 90)


def test_what_is_noted_before_any_threshold_says_nothing_of_the_speed() -> None:
    pace = Deadline(trajectory(), ONES, 1000.0, 100, 0.5, clock=Clock())
    pace.note(10, np.full(10, 6))
    assert (pace.ratio, pace.images) == (0.5, 90)


@pytest.mark.parametrize(("first", "least"), [(1e-9, 1.0), (0.5, 1.0), (3.0, 3.0)])
def test_the_first_evaluation_counts_for_a_quarter_of_the_dearest_or_more(
    first: float, least: float
) -> None:
    pace = Deadline(trajectory(), np.array([first, 4.0]), 10.0, 5, 1.0, clock=Clock())
    assert pace.costs.tolist() == [least, 4.0]


def test_a_machine_half_as_fast_is_given_a_bolder_threshold() -> None:
    fast, slow = (
        Deadline(trajectory(), ONES, 5000.0, 1000, ratio, clock=Clock()).threshold()
        for ratio in (1.0, 2.0)
    )
    assert slow < fast


def test_thresholds_of_0_without_a_stage_to_judge_by_change_nothing() -> None:
    assert changed(simulated(7, 40), np.empty(0, np.int64), np.empty(0)) == 0


def test_images_that_took_every_evaluation_keep_their_labels() -> None:
    assert changed(simulated(7, 400), np.full(5, 10), np.zeros(5)) == 0
    assert changed(simulated(7, 400), np.full(5, 10), np.full(5, np.inf)) == 0


def test_images_that_end_at_a_stage_are_among_those_that_get_there() -> None:
    seen = Trajectory(
        np.array([[[0], [0]], [[0], [1]]]), np.array([[np.inf, 1.0], [np.inf, np.inf]])
    )
    assert changed(seen, np.ones(3, np.int64), np.zeros(3)) == 0.5
