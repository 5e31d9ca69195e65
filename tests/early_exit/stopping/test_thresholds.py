"""A budget is kept shard by shard, by evaluations or by the clock."""

import numpy as np
import pytest
from exits import ONES, K, course, simulated, taken

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
from ensemble.early_exit.stopping.trajectory import Course
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
    pace = Spending(course(), ONES, Budget(400.0, 100))
    before = pace.threshold()
    pace.note(20, np.full(20, 8))
    assert pace.threshold() < before
    pace.note(20, np.full(20, 1))
    assert mean_cost(course(), ONES, pace.threshold()) == pytest.approx(220 / 60, abs=0.2)


def test_a_budget_that_is_used_up_leaves_one_evaluation_an_image() -> None:
    pace = Spending(course(), ONES, Budget(100.0, 50))
    pace.note(25, np.full(25, 10))
    assert mean_cost(course(), ONES, pace.threshold()) == 1


class Clock:
    """A clock that stands still unless it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def ran(seconds: float, per_unit: float, overhead: float, shard: int = 50) -> float:
    """Run 1000 images against a deadline, each evaluation taking its time; return when it ends."""
    clock, seen = Clock(), course()
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
    clock, seen, costs = Clock(), course(), np.array([1e-9, *ONES[1:]])
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
    pace = Deadline(course(), ONES, 10.0, 1000, 0.01, clock=clock)
    before = pace.threshold()
    pace.skip(500, np.full(500, 9))
    assert (pace.ratio, pace.images) == (0.01, 1000)
    assert pace.threshold() == before


def test_what_is_certified_costs_no_more_though_the_budget_would_pay() -> None:
    assert Spending(course(), ONES, Budget(900.0, 100), limit=1.0).threshold() == 1.0
    assert Deadline(course(), ONES, 1e9, 100, 0.01, limit=1.0).threshold() == 1.0


def test_a_last_small_shard_does_not_pay_for_all_that_was_overspent() -> None:
    strict = Spending(course(), ONES, Budget(404.0, 101))
    kind = Spending(course(), ONES, Budget(404.0, 101), horizon=100)
    for pace in (strict, kind):
        pace.note(100, np.full(100, 4) + (np.arange(100) < 20))
    assert strict.threshold() < kind.threshold()


def test_a_deadline_that_is_past_leaves_one_evaluation_an_image() -> None:
    clock = Clock()
    pace = Deadline(course(), ONES, 10.0, 1000, 0.01, clock=clock)
    clock.now = 11.0
    assert pace.threshold() == 0


def drawn(rng: np.random.Generator, images: int) -> Course:
    """Images that go their way as those of `course` do."""
    z = np.cumsum(rng.exponential(1, (K, images)), 0)
    z[-1] = np.inf
    return Course(np.zeros((K, images, 1), np.int64), z)


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
        part = Course(left.labels[:, start : start + 100], left.z[:, start : start + 100])
        n = part.z.shape[1]
        made = taken(part, pace.threshold(), pace.cap(n))
        pace.note(n, made)
        spent += cost_of(made, costs)
    assert spent <= per_image * images + 1e-6


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_budget_is_met_and_nearly_spent(share: float) -> None:
    course, costs = simulated(5, 3000), np.linspace(1, 2, 10)
    per_image = share * costs.sum()
    spent = mean_cost(course, costs, threshold_for(course, costs, per_image))
    assert 0.95 * per_image < spent <= per_image


def test_a_budget_above_the_lossless_rule_is_the_lossless_rule() -> None:
    assert threshold_for(simulated(5, 300), np.ones(10), 10.0) == np.inf


@pytest.mark.parametrize(("per_image", "threshold"), [(1.0, 0.0), (9.9, 0.0), (10.0, np.inf)])
def test_of_a_course_without_images_each_evaluation_counts(
    per_image: float, threshold: float
) -> None:
    course = Course(np.empty((10, 0, 1), np.int64), np.empty((10, 0)))
    assert threshold_for(course, np.ones(10), per_image) == threshold


def test_a_budget_below_one_evaluation_is_refused() -> None:
    with pytest.raises(UsageError, match="first evaluation"):
        threshold_for(simulated(5, 300), np.ones(10), 0.5)


def test_a_budget_spent_by_need_differs_less_than_the_same_spent_evenly() -> None:
    course = simulated(6, 3000)
    by_need = course.disagree(threshold_for(course, np.ones(10), 3.0)).mean()
    evenly = (course.labels[2] != course.labels[-1]).any(1).mean()
    assert by_need < 0.5 * evenly


def test_what_a_shard_saves_goes_to_the_rest() -> None:
    budget = Budget(100.0, 50).after(10, 5.0)
    assert budget == Budget(95.0, 40)
    assert budget.per_image == pytest.approx(95 / 40)


def test_the_labels_a_budget_changes_are_those_that_its_thresholds_change() -> None:
    course = simulated(7, 400)
    bold, careful = course.disagree(0.5).mean(), course.disagree(2.0).mean()
    thresholds = np.repeat([0.5, 2.0, np.inf], [60, 30, 10])
    found = changed(course, np.full(100, 3), thresholds)
    assert found == pytest.approx(0.6 * bold + 0.3 * careful)


def test_an_image_that_a_spent_budget_ended_counts_as_those_that_get_as_far() -> None:
    course = simulated(7, 400)
    there = [n for n, k in enumerate(course.evaluations(np.inf)) if k >= 4]
    differ = [bool((course.labels[3, n] != course.labels[-1, n]).any()) for n in there]
    assert changed(course, np.full(5, 4), np.zeros(5)) == pytest.approx(np.mean(differ))


def test_without_calibrated_images_no_label_is_known_to_change() -> None:
    course = Course(np.empty((10, 0, 1), np.int64), np.empty((10, 0)))
    assert changed(course, np.full(5, 4), np.zeros(5)) == 0
