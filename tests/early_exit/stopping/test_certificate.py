"""The certificate, against exact enumeration and on ensembles whose disagreement is known."""

from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from exits import simulated
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import hypergeom

from ensemble.early_exit.stopping.accumulators import Soft
from ensemble.early_exit.stopping.certificate import (
    GRID,
    allowed,
    calibration_size,
    certify,
    disagreements,
    draw_sample,
    hypergeometric,
    least_size,
    p_value,
)
from ensemble.early_exit.stopping.rules import Argmax, slack
from ensemble.early_exit.stopping.trajectory import Trajectory, follow
from ensemble.errors import UsageError


def part(trajectory: Trajectory, rows: NDArray[np.int64]) -> Trajectory:
    return Trajectory(trajectory.labels[:, rows], trajectory.z[:, rows])


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
    first = draw_sample("a", 1000, 50)
    assert np.array_equal(first, draw_sample("a", 1000, 50))
    assert not np.array_equal(first, draw_sample("b", 1000, 50))
    assert len(np.unique(first)) == 50
    assert (np.diff(first) > 0).all()


def test_every_row_is_drawn_equally_often() -> None:
    counts = sum(np.bincount(draw_sample(str(i), 20, 5), minlength=20) for i in range(2000))
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500 * 0.75)


def test_a_draw_never_changes_between_versions() -> None:
    assert draw_sample("fingerprint", 100, 5).tolist() == [24, 33, 47, 70, 91]


def test_disagreements_count_what_any_threshold_so_far_differs_on() -> None:
    trajectory = simulated(1, 500)
    differ: set[int] = set()
    for threshold, count in zip(GRID, disagreements(trajectory).tolist(), strict=True):
        differ |= set(np.flatnonzero(trajectory.disagree(threshold)).tolist())
        assert count == len(differ)


def test_no_certificate_is_the_lossless_rule() -> None:
    trajectory = simulated(1, 20)
    certificate = certify(trajectory, 1000, 0.001, 0.95)
    assert certificate.threshold is None
    assert certificate.bound == np.inf


def test_a_certificate_says_what_it_means() -> None:
    trajectory = simulated(1, 1000)
    text = str(certify(part(trajectory, draw_sample("x", 1000, 200)), 1000, 0.02, 0.95))
    assert "at most 20 of 1000 labels" in text
    assert "with 95 % confidence" in text
    assert "200 of 1000 images" in text


@pytest.mark.parametrize(("epsilon", "calibrated"), [(0.01, 260), (0.02, 250)])
def test_the_certificate_is_violated_in_at_most_delta_of_the_draws(
    epsilon: float, calibrated: int
) -> None:
    images, draws, delta = 1000, 500, 0.05
    trajectory = simulated(2, images)
    wrong = {t: trajectory.disagree(t) for t in GRID}
    assert wrong[0.0].sum() > 2 * allowed(epsilon, images)
    rng = np.random.default_rng(3)
    violated = certified = 0
    for _ in range(draws):
        rows = np.sort(rng.choice(images, calibrated, replace=False))
        certificate = certify(part(trajectory, rows), images, epsilon, 1 - delta)
        certified += certificate.threshold is not None
        differ = wrong.get(certificate.bound, np.zeros(images, bool)).copy()
        differ[rows] = False  # the calibrated images keep the full ensemble's label
        violated += differ.sum() > allowed(epsilon, images)
    assert certified > draws / 2
    assert violated <= draws * delta + 3 * np.sqrt(draws * delta * (1 - delta))


def test_a_certificate_leaves_fewer_evaluations_than_the_lossless_rule() -> None:
    trajectory = simulated(4, 2000)
    certificate = certify(part(trajectory, draw_sample("y", 2000, 400)), 2000, 0.02, 0.95)
    taken = trajectory.evaluations(certificate.bound).mean()
    assert taken < 0.8 * trajectory.evaluations(np.inf).mean()


@pytest.mark.parametrize(
    ("epsilon", "images", "most"),
    [(0.01, 1000, 10), (0.01, 1099, 10), (0.29, 100, 29), (0.1, 9, 0)],
)
def test_as_many_labels_may_differ_as_the_share_holds_whole(
    epsilon: float, images: int, most: int
) -> None:
    assert allowed(epsilon, images) == most


@given(
    seen=st.integers(0, 5), images=st.integers(10, 3000), share=st.floats(0.05, 1),
    epsilon=st.floats(0.001, 0.2),
)  # fmt: skip
def test_p_falls_as_more_may_differ(seen: int, images: int, share: float, epsilon: float) -> None:
    drawn = max(1, int(share * images))
    p = [p_value(seen, images, drawn, e) for e in (epsilon, 1.5 * epsilon, 4 * epsilon)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(p))


@given(seen=st.integers(0, 3), images=st.integers(20, 2000), epsilon=st.floats(0.005, 0.2))
def test_p_falls_as_more_are_drawn(seen: int, images: int, epsilon: float) -> None:
    sizes = np.linspace(4, images, 8).astype(int).tolist()
    p = [p_value(seen, images, drawn, epsilon) for drawn in sizes]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(p))


@given(images=st.integers(1, 3000), data=st.data())
def test_the_tail_of_any_draw_is_scipys(images: int, data: st.DataObject) -> None:
    marked, drawn = (data.draw(st.integers(0, images)) for _ in range(2))
    most = data.draw(st.integers(0, drawn))
    expected = hypergeom.cdf(most, images, marked, drawn)
    assert hypergeometric(most, images, marked, drawn) == pytest.approx(expected, abs=1e-8)


def test_all_drawn_leave_no_chance() -> None:
    assert hypergeometric(2, 10, 3, 10) == 0
    assert hypergeometric(3, 10, 3, 10) == pytest.approx(1)


@given(images=st.integers(1, 4000), epsilon=st.floats(0.001, 0.3), confidence=st.floats(0.5, 0.999))
def test_the_least_size_is_the_first_that_certifies(
    images: int, epsilon: float, confidence: float
) -> None:
    size = least_size(images, epsilon, confidence)
    assert size == images or p_value(0, images, size, epsilon) <= 1 - confidence
    assert size == 1 or p_value(0, images, size - 1, epsilon) > 1 - confidence


@given(images=st.integers(1, 4000), epsilon=st.floats(0.001, 0.1))
def test_a_smaller_share_or_more_confidence_takes_no_fewer_images(
    images: int, epsilon: float
) -> None:
    plain = least_size(images, epsilon, 0.95)
    assert least_size(images, epsilon / 2, 0.95) >= plain
    assert least_size(images, epsilon, 0.99) >= plain


def test_the_thresholds_fall_from_careful_to_every_image_at_once() -> None:
    assert (np.diff(GRID) < 0).all()
    assert (GRID[0], GRID[-1]) == (20, 0)


@pytest.mark.parametrize(
    ("epsilon", "confidence", "message"),
    [
        (0.0, 0.9, "the share of labels that may differ lies between 0 and 1; found 0.0"),
        (0.1, 1.5, "the confidence lies between 0 and 1; found 1.5"),
        (float("nan"), 0.9, "found nan"),
    ],
)
def test_a_level_that_cannot_be_is_named(epsilon: float, confidence: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        certify(simulated(1, 20), 100, epsilon, confidence)


def test_a_draw_of_all_is_all_and_of_none_is_none() -> None:
    assert draw_sample("a", 7, 7).tolist() == list(range(7))
    assert draw_sample("a", 7, 0).tolist() == []


def test_a_larger_draw_holds_the_smaller() -> None:
    assert set(draw_sample("a", 500, 40)) < set(draw_sample("a", 500, 90))


def test_no_threshold_is_bolder_for_a_smaller_share() -> None:
    seen = part(simulated(8, 2000), draw_sample("z", 2000, 450))
    bounds = [certify(seen, 2000, epsilon, 0.9).bound for epsilon in (0.05, 0.02, 0.01, 0.001)]
    assert bounds == sorted(bounds)
    assert len(set(bounds)) == 4


def test_no_threshold_is_bolder_with_more_confidence() -> None:
    seen = part(simulated(8, 2000), draw_sample("z", 2000, 450))
    bounds = [certify(seen, 2000, 0.03, confidence).bound for confidence in (0.5, 0.9, 0.99)]
    assert bounds == sorted(bounds)


def test_no_threshold_after_one_that_failed_is_tried() -> None:
    """The second λ differs on images on which the third does not."""
    labels = np.array([[[0]] * 40, [[1]] * 40, [[0]] * 40])
    z = np.array([[1.0] * 40, [3.0] * 40, [np.inf] * 40])
    certificate = certify(Trajectory(labels, z), 100, 0.05, 0.95, grid=(9.0, 2.0, 0.0))
    assert certificate.threshold == 9.0
    assert certificate.disagreements == 0


def test_images_without_a_label_are_drawn_as_well_and_certify_more() -> None:
    seen = part(simulated(1, 1000), draw_sample("x", 1000, 150))
    few, more = (certify(seen, 1000, 0.02, 0.95, drawn=drawn) for drawn in (None, 400))
    assert (few.calibrated, more.calibrated) == (150, 400)
    assert more.bound <= few.bound
    assert p_value(few.disagreements, 1000, 400, 0.02) < few.p_value


def test_members_that_always_agree_are_certified_at_once() -> None:
    sure = np.tile(np.eye(3)[[0, 1, 2] * 20], (10, 1, 1))
    trajectory = follow(Soft(np.full(10, 0.1), Argmax(np.ones(3)), slack()), sure)
    certificate = certify(trajectory, 1000, 0.1, 0.95)
    assert (certificate.threshold, certificate.disagreements) == (0.0, 0)


def test_the_p_of_a_certificate_is_that_of_what_it_saw() -> None:
    certificate = certify(part(simulated(1, 1000), draw_sample("x", 1000, 400)), 1000, 0.02, 0.95)
    expected = p_value(certificate.disagreements, 1000, 400, 0.02)
    assert certificate.p_value == expected <= 0.05
    assert certificate.bound == certificate.threshold


def test_no_certificate_says_so() -> None:
    text = str(certify(simulated(1, 20), 1000, 0.001, 0.95))
    expected = "no early exit within 0.1 % of the labels could be certified on 20 of 1000 images"
    assert text == expected
