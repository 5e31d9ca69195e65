"""The loop gives what the trajectory foretells, and a replay finds what is not right."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from exits import ONES, log_linear, scores, taken, trajectory
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensemble.early_exit.stopping.accumulators import Hard, Soft
from ensemble.early_exit.stopping.rules import Argmax, slack
from ensemble.early_exit.stopping.standing import Accumulator
from ensemble.early_exit.stopping.trajectory import Cap, Exits, Trajectory, follow, replay, run
from ensemble.errors import UsageError

LEDGERS: list[Accumulator] = [
    Soft(np.full(8, 1 / 8), Argmax(np.ones(4)), slack()),
    Hard(np.full(8, 1 / 8), np.arange(8) // 2, slack()),
    log_linear(),
]


@pytest.mark.parametrize("accumulator", LEDGERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("threshold", [np.inf, 1.5, 0.0])
def test_the_loop_gives_what_the_course_foretells(
    accumulator: Accumulator, threshold: float
) -> None:
    probs = scores(9)
    trajectory = follow(accumulator, probs)
    asked: list[int] = []

    def score(stage: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.append(len(rows))
        return probs[stage, rows]

    ends = run(accumulator, 60, score, threshold)
    assert (ends.labels == trajectory.labels_at(threshold)).all()
    assert (ends.evaluations == trajectory.evaluations(threshold)).all()
    assert sum(asked) == ends.evaluations.sum()
    found = replay(accumulator, ends, threshold)
    assert not any(map(len, (found.early, found.labels, found.sums)))


def test_a_smaller_threshold_never_takes_more_evaluations() -> None:
    trajectory = follow(LEDGERS[0], scores(9))
    taken = [trajectory.evaluations(t) for t in (np.inf, 5, 2, 1, 0.5, 0)]
    assert all((a >= b).all() for a, b in pairwise(taken))


def lossless_run() -> Exits:
    probs = scores(11)
    return run(LEDGERS[0], 60, lambda stage, rows: probs[stage, rows])


def test_replay_finds_an_exit_before_its_time() -> None:
    ends = lossless_run()
    row = int((ends.evaluations < 8).argmax())
    sums, evaluations = ends.sums.copy(), ends.evaluations.copy()
    sums[:, row], evaluations[row] = [0.2 / 8, 0.6 / 8, 0.1 / 8, 0.1 / 8], 1
    found = replay(LEDGERS[0], replace(ends, sums=sums, evaluations=evaluations))
    assert found.early.tolist() == [row]


def test_replay_finds_a_label_that_its_sums_do_not_give() -> None:
    ends = lossless_run()
    labels = ends.labels.copy()
    labels[7] += 1
    assert replay(LEDGERS[0], replace(ends, labels=labels)).labels.tolist() == [7]


def test_replay_finds_sums_of_another_number_of_evaluations() -> None:
    ends = lossless_run()
    sums = ends.sums.copy()
    sums[:, 7] *= 1.1
    assert replay(LEDGERS[0], replace(ends, sums=sums)).sums.tolist() == [7]


def test_replay_refuses_more_evaluations_than_there_are() -> None:
    ends = lossless_run()
    with pytest.raises(UsageError, match="1 to 8"):
        replay(LEDGERS[0], replace(ends, evaluations=ends.evaluations + 9))


def test_a_cap_ends_the_images_that_need_the_least() -> None:
    seen = trajectory(50)
    free, capped = taken(seen, 4.0, None), taken(seen, 4.0, Cap(ONES, 100.0))
    assert capped.sum() == 100 < free.sum()
    assert (capped <= free).all()
    last = capped.max()
    early = (capped < free) & (capped == last - 1)
    assert seen.z[last - 2, early].min() >= seen.z[last - 2, capped == last].max()


def test_a_cap_that_pays_for_all_ends_no_image() -> None:
    seen = trajectory(50)
    free = taken(seen, 4.0, None)
    assert taken(seen, 4.0, Cap(ONES, float(free.sum()))).tolist() == free.tolist()


def straight(z: list[list[float]], labels: list[list[int]]) -> Trajectory:
    """A trajectory of images given by their z and labels after each evaluation."""
    return Trajectory(np.array(labels)[..., None], np.array(z))


SEEN = straight([[1, 5, 2], [4, 1, 2], [np.inf] * 3], [[0, 1, 2], [1, 1, 2], [1, 0, 2]])


def test_an_image_ends_at_the_first_evaluation_that_reaches_the_threshold() -> None:
    assert SEEN.evaluations(4).tolist() == [2, 1, 3]
    assert SEEN.evaluations(2).tolist() == [2, 1, 1]
    assert SEEN.evaluations(np.inf).tolist() == [3, 3, 3]


def test_an_image_ends_with_the_label_it_then_has() -> None:
    assert SEEN.labels_at(4)[:, 0].tolist() == [1, 1, 2]
    assert SEEN.disagree(4).tolist() == [False, True, False]
    assert not SEEN.disagree(np.inf).any()


def test_a_row_disagrees_where_one_of_its_labels_does() -> None:
    labels = np.array([[[1, 0], [1, 1]], [[1, 1], [1, 1]]])
    trajectory = Trajectory(labels, np.array([[9.0, 9.0], [np.inf, np.inf]]))
    assert trajectory.disagree(1.0).tolist() == [True, False]


@given(z=st.lists(st.floats(0, 9), min_size=4, max_size=4), data=st.data())
def test_evaluations_are_those_of_a_loop(z: list[float], data: st.DataObject) -> None:
    threshold = data.draw(st.one_of(st.sampled_from(z), st.floats(0, 10)))
    trajectory = straight([[v] for v in [*z, np.inf]], [[0]] * 5)
    expected = next(k for k, v in enumerate([*z, np.inf], 1) if v >= threshold)
    assert trajectory.evaluations(threshold).tolist() == [expected]


@pytest.mark.parametrize("threshold", [0.0, 1.5, np.inf])
def test_the_ends_of_a_run_come_in_the_order_of_the_images(threshold: float) -> None:
    probs, order = scores(31), np.random.default_rng(0).permutation(60)
    plain = run(LEDGERS[0], 60, lambda k, rows: probs[k, rows], threshold)
    turned = run(LEDGERS[0], 60, lambda k, rows: probs[k, order[rows]], threshold)
    np.testing.assert_array_equal(turned.labels, plain.labels[order])
    np.testing.assert_array_equal(turned.evaluations, plain.evaluations[order])
    np.testing.assert_allclose(turned.sums, plain.sums[:, order], atol=1e-12)


def test_a_run_of_stages_is_followed_one_by_one() -> None:
    probs = scores(32)
    whole, parts = follow(LEDGERS[1], probs), follow(LEDGERS[1], iter(probs))
    np.testing.assert_array_equal(parts.labels, whole.labels)
    np.testing.assert_array_equal(parts.z, whole.z)


def test_at_threshold_0_each_image_takes_one_evaluation() -> None:
    asked: list[int] = []

    def score(stage: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.append(stage)
        return scores(33)[stage, rows]

    assert run(LEDGERS[0], 60, score, 0.0).evaluations.tolist() == [1] * 60
    assert asked == [0]


@pytest.mark.parametrize(
    ("alive", "spent", "onward"), [(5, 0.0, 5), (5, 5.0, 2), (5, 9.0, 0), (5, 12.0, 0), (1, 8.0, 1)]
)
def test_a_cap_pays_for_as_many_as_its_rest_divided_by_the_cost(
    alive: int, spent: float, onward: int
) -> None:
    assert Cap(np.array([1.0, 2.0]), 10.0).onward(1, alive, spent) == onward


def test_evaluations_that_cost_nothing_are_paid_for_without_end() -> None:
    cap = Cap(np.array([1.0, 0.0]), 0.0)
    assert cap.onward(1, 7, 99.0) == 7
    assert cap.onward(2, 7, 99.0) == 7  # there is no third


def test_a_rest_that_rounding_took_a_hair_of_still_pays() -> None:
    assert Cap(np.array([0.1] * 3), 0.3).onward(2, 2, 0.1 + 0.1) == 1


@pytest.mark.parametrize("most", [50.0, 61.0, 99.0, 180.0])
def test_images_never_cost_more_than_their_cap(most: float) -> None:
    made = taken(trajectory(50), np.inf, Cap(ONES, most))
    assert made.sum() <= most
    assert made.sum() >= min(most, 50) - 1


def test_of_equal_images_a_cap_ends_the_later() -> None:
    alike = Trajectory(np.zeros((10, 4, 1), np.int64), np.zeros((10, 4)))
    assert taken(alike, 1.0, Cap(ONES, 6.0)).tolist() == [2, 2, 1, 1]


def test_a_replay_of_a_right_run_finds_nothing_at_any_tolerance_above_rounding() -> None:
    found = replay(LEDGERS[0], lossless_run(), tolerance=1e-5)
    assert not any(map(len, (found.early, found.labels, found.sums)))


def test_a_replay_at_a_bolder_threshold_finds_no_image_early() -> None:
    assert not len(replay(LEDGERS[0], lossless_run(), threshold=1.0).early)


def test_a_replay_at_a_more_careful_threshold_finds_images_early() -> None:
    probs = scores(11)
    bold = run(LEDGERS[0], 60, lambda stage, rows: probs[stage, rows], 1.0)
    expected = np.flatnonzero(follow(LEDGERS[0], probs).evaluations(np.inf) > bold.evaluations)
    assert replay(LEDGERS[0], bold).early.tolist() == expected.tolist()


def test_without_a_tolerance_no_sum_is_at_fault() -> None:
    ends = lossless_run()
    assert not len(replay(LEDGERS[0], replace(ends, sums=2 * ends.sums), tolerance=None).sums)


def test_a_replay_of_sums_that_are_nan_finds_each() -> None:
    ends = lossless_run()
    sums = ends.sums.copy()
    row = int((ends.evaluations < 8).argmax())
    sums[:, row] = np.nan
    assert row in replay(LEDGERS[0], replace(ends, sums=sums)).early.tolist()


def test_a_replay_of_no_images_finds_nothing() -> None:
    ends = lossless_run()
    none = Exits(ends.labels[:0], ends.evaluations[:0], ends.sums[:, :0])
    assert not len(replay(LEDGERS[0], none).early)
