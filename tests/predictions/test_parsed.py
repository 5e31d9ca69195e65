"""What our files hold is taken as what it should be, or is damage."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from ensemble.predictions.parsed import (
    check_kind,
    choice_of,
    list_of,
    mapping_of,
    number_of,
    or_none,
    quarantined_of,
    real_of,
    record_of,
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
        (real_of, 7),
        (real_of, 0.5),
        (partial(or_none, text_of), "a"),
        (partial(or_none, text_of), None),
        (partial(choice_of, choices=("a", "b")), "b"),
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
        (real_of, True, "expected a number, found True"),
        (real_of, "0.5", "expected a number"),
        (partial(or_none, text_of), 7, "expected a text, found 7"),
        (partial(choice_of, choices=("a", "b")), ["a"], r"expected one of a, b, found \['a'\]"),
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


@dataclass
class Told:
    rule: Literal["lossless", "budget"]
    share: float | None
    images: int = 0


def test_a_record_comes_back_from_its_json_and_takes_defaults_for_what_it_lacks() -> None:
    assert record_of(Told, {"rule": "budget", "share": 1}) == Told("budget", 1)
    assert record_of(Told, {"rule": "lossless", "share": None, "images": 3}).images == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "other"}, "rule: expected .*'lossless', 'budget'.*, found 'other'"),
        ({"rule": ["budget"]}, "rule: expected"),
        ({"share": "1"}, "share: expected float | None, found '1'"),
        ({"share": True}, "share: expected"),
        ({"images": 1.0}, "images: expected int, found 1.0"),
        ({"images": None}, "images: expected int"),
        ({"more": 1}, "more"),
    ],
)
def test_a_record_with_a_field_that_is_unknown_or_of_another_kind_is_a_type_error(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        record_of(Told, {"rule": "budget", "share": 0.5, **change})


@pytest.mark.parametrize("told", [{"rule": "budget"}, {}, [], None])
def test_what_lacks_a_field_is_no_record(told: object) -> None:
    with pytest.raises(TypeError):
        record_of(Told, told)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (("a", "b"), tuple[str, ...]), ((), tuple[str, ...]), (Path("a"), Path | None),
        (None, Path | None), (True, bool), (1, bool), (2, float), (3, int | Literal["auto"]),
        ("auto", int | Literal["auto"]),
    ],
)  # fmt: skip
def test_a_value_is_of_the_kind_of_its_annotation(told: object, kind: object) -> None:
    check_kind("setting", told, kind)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (("a", 1), tuple[str, ...]), (["a"], tuple[str, ...]), ("a", Path | None),
        (7, bool), ("true", bool), (True, int), (True, float), ("1", float),
        ("none", int | Literal["auto"]),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named_by_its_setting(told: object, kind: object) -> None:
    with pytest.raises(TypeError, match="^setting: expected "):
        check_kind("setting", told, kind)
