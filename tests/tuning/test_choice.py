"""The choice takes what holds, prefers what is simple, and says what choosing is worth."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.evaluation.metrics import Metric, Truth, metric_of
from ensemble.evaluation.seen import Seen
from ensemble.tuning.candidates import Candidate
from ensemble.tuning.choice import Choice, choose
from ensemble.voting.weights import Write

ACCURACY = metric_of("accuracy", "classification")
LOSS = metric_of("log_loss", "classification")
FIVE = [Candidate(name) for name in ("mean", "best", "subset", "linear", "log-linear")]
ROWS = 400
ONES = np.ones(ROWS, np.int64)


def predicted(*right: int, rows: int = ROWS) -> list[NDArray[np.float64]]:
    """Return predictions (N, 2) of the class 1; of the n-th, so many rows are wrong, one by one."""
    found = []
    for count in right:
        labels = np.ones(rows, np.int64)
        labels[:count] = 0
        found.append(np.eye(2)[labels])
    return found


def seen(metric: Metric, y: Truth, nested: Sequence[NDArray[np.float64]]) -> list[Seen]:
    return [Seen.of(metric, y, probs) for probs in nested]


def chosen(*wrong: int, write: Write = "auto", candidates: list[Candidate] = FIVE) -> Choice:
    y = np.ones(ROWS, np.int64)
    nested = seen(ACCURACY, y, predicted(*wrong))
    return choose(nested, candidates[: len(wrong)], y, ACCURACY, write=write)


def test_a_clear_winner_is_picked_and_its_gain_told() -> None:
    found = chosen(100, 100, 100, 100, 40)
    assert FIVE[found.picked].name == "log-linear"
    assert found.gains[4] == pytest.approx(60 / ROWS)
    assert found.corrected.value == pytest.approx(60 / ROWS, abs=0.01)
    assert found.corrected.interval is not None
    assert found.corrected.interval[0] > 0


def test_the_error_of_a_gain_is_that_of_a_paired_share() -> None:
    found = chosen(100, 100, 100, 100, 40)
    share = 60 / ROWS
    assert found.errors[4] == pytest.approx(np.sqrt(share * (1 - share) / ROWS), rel=0.1)


def test_where_nothing_gains_half_an_error_the_plain_mean_stays() -> None:
    found = chosen(100, 130, 130, 130, 130)
    assert found.picked == 0
    assert found.best >= 2  # what is told of beside it is a pool or a subset
    assert found.corrected.value <= 0


def test_of_equal_ones_the_simpler_is_picked() -> None:
    assert FIVE[chosen(100, 120, 40, 40, 40).picked].name == "subset"


def test_within_a_quarter_of_an_error_the_simpler_is_picked() -> None:
    error = np.sqrt(0.15 * 0.85 / ROWS) * ROWS
    assert FIVE[chosen(100, 120, 120, 40 + int(error / 5), 40).picked].name == "linear"
    assert FIVE[chosen(100, 120, 120, 40 + int(error), 40).picked].name == "log-linear"


@pytest.mark.parametrize(
    ("write", "name"), [("mean", "mean"), ("best", "best"), ("tuned", "linear")]
)
def test_one_that_is_forced_is_picked_whatever_its_score(write: Write, name: str) -> None:
    assert FIVE[chosen(40, 60, 70, 50, 80, write=write).picked].name == name


def test_a_search_must_gain_a_whole_error_over_what_was_picked() -> None:
    guarded = [*FIVE, Candidate("log-linear", polish=True, guarded=True)]
    assert guarded[chosen(100, 100, 100, 100, 40, 20, candidates=guarded).picked].polish
    other = np.ones(ROWS, np.int64)
    other[10:49] = 0  # right on ten rows more, wrong on nine others
    nested = [*predicted(100, 100, 100, 100, 40), np.eye(2)[other]]
    found = choose(seen(ACCURACY, ONES, nested), guarded, ONES, ACCURACY)
    assert found.gains[5] > found.gains[4]
    assert found.picked == 4


def test_the_gain_of_the_luckiest_of_many_is_paid_for() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=100)
    truth, told, corrected = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        nested = [np.eye(2)[rng.integers(2, size=100)] for _ in FIVE]
        found = choose(seen(ACCURACY, y, nested), FIVE, y, ACCURACY)
        truth.append(0.0)  # labels by a coin gain nothing
        told.append(found.gains[found.picked])
        corrected.append(found.corrected.value)
    assert np.mean(told) > 0.03
    assert abs(np.mean(corrected)) < np.mean(told) / 3


def test_an_interval_of_errors_is_upward_too() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(2, size=300)
    sharp = np.where(np.eye(2)[y] == 1, 0.9, 0.1)
    dull = np.full((300, 2), 0.5)
    found = choose(seen(LOSS, y, [dull, dull, sharp]), FIVE[:3], y, LOSS)
    assert found.picked == 2
    assert found.corrected.value == pytest.approx(np.log(0.9 / 0.5))
    assert found.corrected.p is not None
    assert found.corrected.p < 0.01


def test_a_class_that_no_draw_leaves_out_whole_has_no_interval() -> None:
    y = np.array([0] * 200 + [1])
    rng = np.random.default_rng(2)
    nested = [np.eye(2)[y] * 0.5 + rng.random((201, 2)) for _ in range(3)]
    auc = metric_of("auc", "classification")
    found = choose(seen(auc, y, nested), FIVE[:3], y, auc)
    assert (found.corrected.interval, found.corrected.p) == (None, None)


def test_where_the_metric_is_defined_on_no_draw_the_plain_mean_stays() -> None:
    def fussy(y: NDArray[np.float64], probs: NDArray[np.float64]) -> float:
        return float(probs[:, 1].mean()) if len(set(y.tolist())) == 50 else np.nan

    metric = Metric("pkg:fussy", fussy, True, "regression")
    nested = [Seen(np.full((50, 2), 0.1 * k), 2) for k in range(3)]
    found = choose(nested, FIVE[:3], np.arange(50.0), metric)
    assert (found.picked, found.corrected.error) == (0, None)


def test_the_plain_mean_that_is_asked_for_has_no_rule() -> None:
    ruled = [Candidate("mean"), Candidate("mean", rule=True), Candidate("linear")]
    assert chosen(100, 40, 60, write="mean", candidates=ruled).picked == 0
