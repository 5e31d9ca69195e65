"""Boxes, and what is said of them, are frozen values."""

import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from ensemble.boxes import Box, BoxRule, Crop

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
