"""Values are moved onto what fulfils every constraint, by as little as it takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.voting.constraints import (
    Residual,
    check_constraints,
    constrained,
    describe_residuals,
    sides_of,
    subspace_of,
)

TARGETS = ("green", "clover", "dead", "gdm", "total")
BOTH = ("gdm = green + clover", "total = gdm + dead")


def test_a_constraint_is_a_row_of_signs() -> None:
    found = subspace_of(BOTH, TARGETS)
    np.testing.assert_array_equal(found.matrix, [[-1, -1, 0, 1, 0], [0, 0, -1, -1, 1]])
    np.testing.assert_array_equal(found.offsets, [0, 0])


@pytest.mark.parametrize(
    ("text", "row", "offset"),
    [
        ("total=2*green-0.5 clover", [-2, 0.5, 0, 0, 1], 0),
        ("total = - dead + 1e1 + .5green", [-0.5, 0, 1, 0, 1], 10),
        ("total = 3", [0, 0, 0, 0, 1], 3),
        ("dead = dead + total - dead", [0, 0, 1, 0, -1], 0),
    ],
)
def test_terms_have_signs_numbers_and_constants(text: str, row: list[float], offset: float) -> None:
    found = subspace_of([text], TARGETS)
    np.testing.assert_array_equal(found.matrix, [row])
    np.testing.assert_array_equal(found.offsets, [offset])


def test_names_may_hold_signs_digits_and_spaces_and_the_longest_counts() -> None:
    targets = ("a-b", "a", "b", "dry weight", "dry", "2")
    found = subspace_of(["a-b = dry weight - 2 + a - b + dry"], targets)
    np.testing.assert_array_equal(found.matrix, [[1, -1, 1, -1, -1, 1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("total", "expected such as 'total = a \\+ b'"),
        ("total = a = b", "expected such as"),
        ("= green", "expected such as"),
        ("sum = green", "expected a target.*found 'sum'"),
        ("total = green + brown", "expected a target.*found 'brown'"),
        ("total = green +", "found nothing"),
        ("total = 2 *", "found nothing"),
        ("total = greens", "found 'greens'"),
        ("total = green clover", "expected \\+ or - between two terms; found 'clover'"),
        ("total = green * 2", "expected \\+ or - between two terms"),
    ],
)
def test_what_is_no_constraint_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        subspace_of([text], TARGETS)


def test_a_constraint_that_follows_from_others_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(7, 5))
    more = (*BOTH, "total = green + clover + dead", BOTH[0])
    np.testing.assert_allclose(
        subspace_of(more, TARGETS).project(values), subspace_of(BOTH, TARGETS).project(values),
        atol=1e-12,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ((*BOTH, "total = green + clover + dead + 1"), "'total = green .* beside 'gdm = .*'total"),
        (
            ("dead = 1", "green = 2", "dead = 3"),
            "'dead = 3': no values fulfil it beside 'dead = 1';",
        ),
        (("total = total + 1",), "no values fulfil it; leave one out"),
    ],
)
def test_constraints_that_contradict_each_other_are_named(
    texts: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        subspace_of(texts, TARGETS)


def test_the_values_are_the_nearest_that_fulfil_all() -> None:
    texts = (*BOTH, "green = 2 * clover + 1")
    value = np.random.default_rng(1).normal(size=5)
    # clover c and dead d are free in what fulfils them: (2c + 1, c, d, 3c + 1, 3c + 1 + d)
    basis = np.array([[2, 1, 0, 3, 3], [0, 0, 1, 0, 1]]).T
    start = np.array([1, 0, 0, 1, 1])
    free, *_ = np.linalg.lstsq(basis, value - start, rcond=None)
    found, _ = constrained(value[None], texts, TARGETS)
    np.testing.assert_allclose(found[0], start + basis @ free, atol=1e-12)


@given(rows=st.lists(st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5), max_size=4))
def test_constrained_values_fulfil_all_and_stay_where_they_are(rows: list[list[float]]) -> None:
    values = np.array(rows).reshape(-1, 5)
    once, _ = constrained(values, BOTH, TARGETS)
    np.testing.assert_allclose(once[:, 3], once[:, 0] + once[:, 1], atol=1e-9)
    np.testing.assert_allclose(once[:, 4], once[:, 3] + once[:, 2], atol=1e-9)
    twice, residuals = constrained(once, BOTH, TARGETS)
    np.testing.assert_allclose(twice, once, atol=1e-9)
    assert all(each.largest < 1e-9 for each in residuals.values())


def test_residuals_are_those_before() -> None:
    values = np.array([[1.0, 2, 0, 3, 3], [1, 1, 0, 4, 4]])
    _, found = constrained(values, BOTH, TARGETS)
    assert found == {BOTH[0]: Residual(2.0, 1.0), BOTH[1]: Residual(0.0, 0.0)}
    assert "gdm = green + clover by 1 on average, 2 at most; total" in describe_residuals(found)


def test_constraints_are_of_a_regression() -> None:
    check_constraints((), "classification", TARGETS)
    check_constraints(BOTH, "regression", TARGETS)
    with pytest.raises(UsageError, match="values of a regression; this head is multilabel"):
        check_constraints(BOTH, "multilabel", TARGETS)


def test_sides_are_parted_at_the_equals_sign() -> None:
    assert sides_of(" total=a + b ") == ("total", "a + b")
