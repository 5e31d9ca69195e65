"""The normal distribution as nodes is Python's own, far out too."""

import math

import numpy as np
from packs import computed

from ensemble.export.pack.normal import coefficients, normal

PLACES = np.concatenate([np.linspace(-37, 37, 4001), [-1e-9, 0.0, 1e-9]])


def test_it_is_that_of_the_standard_library() -> None:
    expected = [math.erfc(-x / math.sqrt(2)) / 2 for x in PLACES]
    found = computed(lambda build: normal(build, "x"), {"x": PLACES})
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_infinity_is_taken() -> None:
    found = computed(lambda build: normal(build, "x"), {"x": np.array([-np.inf, np.inf])})
    assert found.tolist() == [0.0, 1.0]


def test_the_series_has_ended_where_float64_does() -> None:
    assert abs(coefficients()[-3:]).max() < 1e-14
