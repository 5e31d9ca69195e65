"""Boxes, and what is said of them, are frozen values."""

import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from ensemble.boxes import Box, BoxRule, Crop, crop_told
from ensemble.errors import UsageError

RECORDS: list[Any] = [Box(0, 1, 2, 3, "sure"), Crop(0.25, square=True), BoxRule()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_a_key_and_cannot_be_changed(record: Any) -> None:
    assert {record: 1}[replace(record)] == 1
    assert pickle.loads(pickle.dumps(record)) == record
    for field in fields(record):
        with pytest.raises(FrozenInstanceError):
            setattr(record, field.name, None)


def test_the_sides_are_left_top_right_bottom() -> None:
    assert Box(left=1, top=2, right=3, bottom=4).sides == (1, 2, 3, 4)


def test_a_crop_is_spelled_as_its_flags() -> None:
    assert str(Crop(0.25, square=True)) == "--margin 0.25 --square"
    assert str(Crop(0, square=False)) == "--margin 0"


def test_flags_that_say_nothing_are_no_crop() -> None:
    assert crop_told(None, square=False) is None
    assert crop_told(0, square=False) == Crop(0.0, square=False)
    assert crop_told(0.5, square=True) == Crop(0.5, square=True)


@pytest.mark.parametrize("margin", [-0.1, 10.5, float("nan"), "0.1", True])
def test_a_margin_out_of_range_is_refused(margin: Any) -> None:
    with pytest.raises(UsageError, match=r"expected a number from 0 to 10"):
        crop_told(margin, square=False)


def test_a_square_without_a_margin_is_refused() -> None:
    with pytest.raises(UsageError, match="square goes with margin"):
        crop_told(None, square=True)
