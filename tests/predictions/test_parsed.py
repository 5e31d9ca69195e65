"""What our files hold is taken as what it should be, or is damage."""

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest

from ensemble.predictions.parsed import (
    list_of,
    mapping_of,
    number_of,
    quarantined_of,
    text_of,
    texts_of,
)
from ensemble.records import Quarantined

LOST = Quarantined("b", "b.png", "decode", "ImageError", "cut short", "ab", 7)


@pytest.mark.parametrize(
    ("take", "told"),
    [
        (mapping_of, {"a": 1}),
        (list_of, [1, "a"]),
        (list_of, (1, "a")),
        (text_of, "a"),
        (number_of, 7),
    ],
)
def test_what_is_right_is_taken_as_it_is(take: Callable[[object], object], told: object) -> None:
    assert take(told) == told


@pytest.mark.parametrize(
    ("take", "told", "message"),
    [
        (mapping_of, [1], "expected an object"),
        (list_of, "ab", "expected a list, found 'ab'"),
        (text_of, 7, "expected a text, found 7"),
        (texts_of, "ab", "expected a list"),
        (texts_of, ["a", None], "expected a text, found None"),
        (number_of, True, "expected a whole number, found True"),
        (number_of, "7", "expected a whole number"),
        (quarantined_of, {"a": 1}, "expected a list"),
    ],
)
def test_what_is_of_another_kind_is_a_type_error(
    take: Callable[[object], object], told: object, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        take(told)


def test_what_is_quarantined_comes_back_from_its_json() -> None:
    assert quarantined_of(json.loads(json.dumps([asdict(LOST)]))) == (LOST,)


@pytest.mark.parametrize("change", [{"bytes": "7"}, {"stage": 1}, {"more": "x"}])
def test_a_quarantined_image_has_its_fields_and_no_others(change: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        quarantined_of([{**asdict(LOST), **change}])
