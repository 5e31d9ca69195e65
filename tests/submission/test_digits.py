"""Many numbers at once are written as Python writes each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.arrays import Pooled
from ensemble.submission import digits
from ensemble.submission.digits import digit_rows


def one_by_one(values: Pooled) -> list[str]:
    return [",".join(f"{value:.9g}" for value in row) for row in values.tolist()]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_any_numbers_are_written_as_python_writes_them(numbers: list[float]) -> None:
    values = np.array(numbers)[:, None]
    assert digit_rows(values) == one_by_one(values)


@given(st.integers(0, 10**6), st.integers(-17, 4))
def test_probabilities_of_every_size_are_written_as_python_writes_them(
    seed: int, power: int
) -> None:
    values = np.random.default_rng(seed).random((20, 7)) * 10.0**power
    assert digit_rows(values) == one_by_one(values)


@pytest.mark.parametrize("power", range(-16, 3))
def test_numbers_beside_a_power_of_ten_are_written_as_python_writes_them(power: int) -> None:
    exact = float(f"1e{power}")
    near = [exact, np.nextafter(exact, 0), np.nextafter(exact, 1e9), exact * 0.9999999995]
    values = np.array([near, [each * 1.000000005 for each in near]])
    assert digit_rows(values) == one_by_one(values)


@given(st.integers(0, 10**6))
def test_numbers_half_way_between_two_texts_are_written_as_python_writes_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.integers(10**8, 10**9, (30, 3)) + 0.5) / 10.0 ** rng.integers(8, 23, (30, 3))
    assert digit_rows(values) == one_by_one(values)


def test_zeros_at_the_end_and_the_sign_of_zero_are_written_as_python_writes_them() -> None:
    values = np.array([[0.0, -0.0, 1.0, 0.5, 0.12, 0.1234, 0.1234567, 1e-5, 1.25e-7, -0.25]])
    assert digit_rows(values) == one_by_one(values)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_without_numbers_a_row_is_empty(shape: tuple[int, int]) -> None:
    assert digit_rows(np.empty(shape)) == [""] * shape[0]


def test_rows_in_blocks_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).random((11, 4))
    monkeypatch.setattr(digits, "_AT_ONCE", 9)
    assert digit_rows(values) == one_by_one(values)
