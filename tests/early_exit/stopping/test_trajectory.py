"""The loop gives what the course foretells, and a replay finds what is not right."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from exits import ONES, course, log_linear, scores, taken
from numpy.typing import NDArray

from ensemble.early_exit.stopping.accumulators import Hard, Ledger, Soft
from ensemble.early_exit.stopping.rules import Argmax, slack
from ensemble.early_exit.stopping.trajectory import Cap, Ends, follow, replay, run
from ensemble.errors import UsageError

LEDGERS: list[Ledger] = [
    Soft(np.full(8, 1 / 8), Argmax(np.ones(4)), slack()),
    Hard(np.full(8, 1 / 8), np.arange(8) // 2, slack()),
    log_linear(),
]


@pytest.mark.parametrize("ledger", LEDGERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("threshold", [np.inf, 1.5, 0.0])
def test_the_loop_gives_what_the_course_foretells(ledger: Ledger, threshold: float) -> None:
    probs = scores(9)
    course = follow(ledger, probs)
    asked: list[int] = []

    def score(stage: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.append(len(rows))
        return probs[stage, rows]

    ends = run(ledger, 60, score, threshold)
    assert (ends.labels == course.labels_at(threshold)).all()
    assert (ends.evaluations == course.evaluations(threshold)).all()
    assert sum(asked) == ends.evaluations.sum()
    found = replay(ledger, ends, threshold)
    assert not any(map(len, (found.early, found.labels, found.sums)))


def test_a_smaller_threshold_never_takes_more_evaluations() -> None:
    course = follow(LEDGERS[0], scores(9))
    taken = [course.evaluations(t) for t in (np.inf, 5, 2, 1, 0.5, 0)]
    assert all((a >= b).all() for a, b in pairwise(taken))


def lossless_run() -> Ends:
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
    seen = course(50)
    free, capped = taken(seen, 4.0, None), taken(seen, 4.0, Cap(ONES, 100.0))
    assert capped.sum() == 100 < free.sum()
    assert (capped <= free).all()
    last = capped.max()
    early = (capped < free) & (capped == last - 1)
    assert seen.z[last - 2, early].min() >= seen.z[last - 2, capped == last].max()


def test_a_cap_that_pays_for_all_ends_no_image() -> None:
    seen = course(50)
    free = taken(seen, 4.0, None)
    assert taken(seen, 4.0, Cap(ONES, float(free.sum()))).tolist() == free.tolist()
