"""The frontier: each point nested, dearer and better than the one before, and its knee."""

from dataclasses import replace

import numpy as np
import pytest
from views_apart import ROWS, TRUTH, apart, order

from ensemble.evaluation.metrics import metric_of
from ensemble.progress import Quiet
from ensemble.tuning.choose import found_in
from ensemble.tuning.frontier import Judge, Point, frontier, knee
from ensemble.tuning.market import HeadMarket, cost_of
from ensemble.tuning.policies import Found
from ensemble.tuning.selection import path


@pytest.fixture(autouse=True)
def folder(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


VIEWS = {"plain": 1.2, "hflip": 1.2, "rot90(1)": 1.0, "vflip": -1.0}


def three() -> Found:
    return found_in(apart(dict.fromkeys(("ant", "bee", "cow"), VIEWS)), order(), Quiet())


def points(found: Found) -> list[Point]:
    return frontier(found.market, found.judge, lambda _: None)


def test_the_frontier_is_monotone_in_cost_and_score() -> None:
    found = points(three())
    assert len(found) > 2
    assert [p.seconds for p in found] == sorted({p.seconds for p in found})
    assert [p.score for p in found] == sorted({p.score for p in found})


def test_every_point_has_an_interval_around_its_score() -> None:
    for point in points(three()):
        assert point.interval is not None
        assert point.interval[0] < point.score < point.interval[1]


def test_a_points_score_is_of_what_was_selected_and_fitted_without_the_fold() -> None:
    found = three()
    market, folds = found.market, found.judge.folds
    last = points(found)[-1]
    expected = np.empty((ROWS, 3))
    for fold in range(3):
        held = folds == fold
        seen = market.among(~held)
        fitting = [c for c in path(seen) if cost_of(market, c) <= last.seconds + 1e-12]
        fitted = seen.fit(fitting[-1], found.judge.metric, "log-linear")
        expected[held] = market.among(held).predicted(fitting[-1], fitted)
    np.testing.assert_allclose(last.nested, expected, rtol=1e-9)


def test_a_fold_is_not_scored_by_what_was_fitted_on_it() -> None:
    found = three()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 3, ROWS)  # labels that nothing tells: nested scores stay at chance
    assert isinstance(found.market, HeadMarket)
    market = replace(found.market, y=noise)
    told = frontier(market, found.judge, lambda _: None)
    assert all(abs(point.score - 1 / 3) < 0.06 for point in told)


def point(score: float, seconds: float, right: np.ndarray) -> Point:
    """A point whose prediction is right in some rows."""
    nested = np.eye(3)[np.where(right, TRUTH, (TRUTH + 1) % 3)]
    return Point((0,), seconds, score, None, nested)


def test_the_knee_is_the_cheapest_within_a_standard_error_of_the_best() -> None:
    found = three()
    judge = Judge(metric_of("accuracy", "classification"), found.judge.folds, None, "log-linear")
    best, near, far = (np.arange(ROWS) % 100 < share for share in (90, 89, 60))
    near = best.copy()
    near[:3] = False  # three rows of 1200 less
    told = [point(0.6, 1.0, far), point(0.8975, 2.0, near), point(0.9, 3.0, best)]
    market = found.market
    assert knee(told, market, judge).seconds in (2.0, 3.0)
    near[:1] = best[:1]
    near[1:3] = best[1:3]
    near[0] = False  # one row less: its standard error is as large
    assert knee([told[0], point(0.8991, 2.0, near), told[2]], market, judge).seconds == 2.0
