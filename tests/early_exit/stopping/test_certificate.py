"""The certificate, against exact enumeration and on ensembles whose disagreement is known."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from exits import simulated
from numpy.typing import NDArray
from scipy.stats import hypergeom

from ensemble.early_exit.stopping.certificate import (
    GRID,
    allowed,
    calibration_size,
    certify,
    disagreements,
    draw,
    hypergeometric,
    p_value,
)
from ensemble.early_exit.stopping.trajectory import Course
from ensemble.errors import UsageError


def part(course: Course, rows: NDArray[np.int64]) -> Course:
    return Course(course.labels[:, rows], course.z[:, rows])


def test_the_tail_is_that_of_every_possible_draw() -> None:
    for images, marked, drawn in ((7, 3, 4), (6, 6, 2), (8, 2, 7), (5, 0, 3)):
        draws = [sum(i < marked for i in d) for d in combinations(range(images), drawn)]
        for most in range(drawn + 1):
            exact = sum(x <= most for x in draws) / comb(images, drawn)
            assert hypergeometric(most, images, marked, drawn) == pytest.approx(exact, abs=1e-12)


def test_the_tail_is_scipys() -> None:
    for most, images, marked, drawn in (
        (0, 10_000, 51, 600),
        (4, 10**6, 5005, 1000),
        (2, 90, 9, 30),
    ):
        ours = hypergeometric(most, images, marked, drawn)
        assert ours == pytest.approx(hypergeom.cdf(most, images, marked, drawn), rel=1e-6)


def test_p_grows_with_the_disagreements_seen() -> None:
    p = [p_value(x, 1000, 200, 0.02) for x in range(30)]
    assert p == sorted(p)


@pytest.mark.parametrize("images", [1000, 10_000, 250_000])
def test_the_calibration_is_the_least_that_certifies_with_no_disagreement(images: int) -> None:
    size = calibration_size(images, 0.01, 0.95)
    assert p_value(0, images, size, 0.01) <= 0.05 < p_value(0, images, size - 1, 0.01)
    assert size <= images / 4


@pytest.mark.parametrize("images", [1, 3, 30, 100, 400])
def test_no_calibration_where_it_would_take_more_than_a_quarter(images: int) -> None:
    assert calibration_size(images, 0.01, 0.95) == 0


@pytest.mark.parametrize("levels", [(0.0, 0.95), (1.0, 0.95), (0.01, 0.0), (0.01, 1.0)])
def test_levels_outside_0_to_1_are_refused(levels: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        calibration_size(1000, *levels)


def test_a_draw_is_the_same_for_the_same_fingerprint_only() -> None:
    first = draw("a", 1000, 50)
    assert np.array_equal(first, draw("a", 1000, 50))
    assert not np.array_equal(first, draw("b", 1000, 50))
    assert len(np.unique(first)) == 50
    assert (np.diff(first) > 0).all()


def test_every_row_is_drawn_equally_often() -> None:
    counts = sum(np.bincount(draw(str(i), 20, 5), minlength=20) for i in range(2000))
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500 * 0.75)


def test_a_draw_never_changes_between_versions() -> None:
    assert draw("fingerprint", 100, 5).tolist() == [24, 33, 47, 70, 91]


def test_disagreements_count_what_any_threshold_so_far_differs_on() -> None:
    course = simulated(1, 500)
    differ: set[int] = set()
    for threshold, count in zip(GRID, disagreements(course).tolist(), strict=True):
        differ |= set(np.flatnonzero(course.disagree(threshold)).tolist())
        assert count == len(differ)


def test_no_certificate_is_the_lossless_rule() -> None:
    course = simulated(1, 20)
    certificate = certify(course, 1000, 0.001, 0.95)
    assert certificate.threshold is None
    assert certificate.bound == np.inf


def test_a_certificate_says_what_it_means() -> None:
    course = simulated(1, 1000)
    text = str(certify(part(course, draw("x", 1000, 200)), 1000, 0.02, 0.95))
    assert "at most 20 of 1000 labels" in text
    assert "with 95 % confidence" in text
    assert "200 of 1000 images" in text


@pytest.mark.parametrize(("epsilon", "calibrated"), [(0.01, 260), (0.02, 250)])
def test_the_certificate_is_violated_in_at_most_delta_of_the_draws(
    epsilon: float, calibrated: int
) -> None:
    images, draws, delta = 1000, 500, 0.05
    course = simulated(2, images)
    wrong = {t: course.disagree(t) for t in GRID}
    assert wrong[0.0].sum() > 2 * allowed(epsilon, images)
    rng = np.random.default_rng(3)
    violated = certified = 0
    for _ in range(draws):
        rows = np.sort(rng.choice(images, calibrated, replace=False))
        certificate = certify(part(course, rows), images, epsilon, 1 - delta)
        certified += certificate.threshold is not None
        differ = wrong.get(certificate.bound, np.zeros(images, bool)).copy()
        differ[rows] = False  # the calibrated images keep the full ensemble's label
        violated += differ.sum() > allowed(epsilon, images)
    assert certified > draws / 2
    assert violated <= draws * delta + 3 * np.sqrt(draws * delta * (1 - delta))


def test_a_certificate_leaves_fewer_evaluations_than_the_lossless_rule() -> None:
    course = simulated(4, 2000)
    certificate = certify(part(course, draw("y", 2000, 400)), 2000, 0.02, 0.95)
    taken = course.evaluations(certificate.bound).mean()
    assert taken < 0.8 * course.evaluations(np.inf).mean()
