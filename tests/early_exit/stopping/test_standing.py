"""The statistic of an image, and sums that are not those of so many evaluations."""

import numpy as np

from ensemble.early_exit.stopping.standing import off_by, statistic

HALVES = np.array([0.5, 0.5])


def test_an_image_that_is_certain_or_done_may_end_at_every_threshold() -> None:
    margins, certain = np.array([0.2, 0.2]), np.array([True, False])
    first, last = (statistic(HALVES, done, margins, certain) for done in (1, 2))
    assert first[0] == np.inf
    assert np.isfinite(first[1])
    assert (last == np.inf).all()


def test_the_statistic_is_the_margin_over_what_the_rest_may_move_it() -> None:
    z = statistic(HALVES, 1, np.array([0.2]), np.zeros(1, bool))
    np.testing.assert_allclose(z, 0.2 / np.sqrt(0.5**2 + 0.5**2))


def test_sums_are_off_by_the_share_of_the_weight_done() -> None:
    sums = np.array([[[0.3, 0.2], [0.3, 0.3]]])
    np.testing.assert_allclose(off_by(HALVES, 1, sums), [0, 0.2])
