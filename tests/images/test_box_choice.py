"""One box an image is chosen by the rule, and never none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.boxes import RULES, Box, BoxRule
from ensemble.errors import UsageError
from ensemble.images.box_choice import (
    ChosenBox,
    check_rule,
    choose,
    fallback_box,
    is_inside_out,
)
from ensemble.records import (
    Size,
)

SIZE = Size(100, 200)
RULE = BoxRule(sure=0.6, unsure=0.2, centre=0.25)


def chosen(*boxes: tuple[float, float, float, float, float], rule: BoxRule = RULE) -> ChosenBox:
    """Choose of boxes with their scores, and a row that holds none."""
    rows = np.array([*boxes, (0, 0, 0, 0, 0)], np.float64)
    return choose(rows[:, :4], rows[:, 4], SIZE, rule)


def test_a_sure_box_is_taken_wherever_it_lies() -> None:
    found = chosen((0, 0, 10, 10, 0.6))
    assert found == ChosenBox(Box(0, 0, 10, 10, "sure"), 0.6, 1)


def test_an_unsure_box_is_taken_about_the_centre_only() -> None:
    assert chosen((90, 40, 110, 60, 0.3)).box == Box(90, 40, 110, 60, "centred")
    assert chosen((0, 0, 20, 20, 0.3)).box.rule == "fallback"


def test_the_centre_is_a_share_of_each_side() -> None:
    # 0.25 of 200 is 50 across, 0.25 of 100 is 25 down
    assert chosen((140, 40, 160, 60, 0.3)).box.rule == "centred"
    assert chosen((142, 40, 162, 60, 0.3)).box.rule == "fallback"
    assert chosen((90, 66, 110, 86, 0.3)).box.rule == "fallback"


def test_a_sure_box_at_the_border_beats_a_larger_unsure_one_in_the_middle() -> None:
    assert chosen((20, 10, 180, 90, 0.5), (0, 0, 10, 10, 0.7)).box == Box(0, 0, 10, 10, "sure")


def test_of_several_the_product_of_score_area_and_nearness_decides() -> None:
    boxes = [(0, 0, 60, 60, 0.9), (80, 30, 120, 70, 0.7), (95, 45, 105, 55, 1.0)]
    worth = []
    for left, top, right, bottom, score in boxes:  # by hand
        area = (right - left) * (bottom - top) / (100 * 200)
        away = max(abs((left + right) / 2 - 100) / 200, abs((top + bottom) / 2 - 50) / 100)
        worth.append(score * area * (1 - 2 * away))
    best = boxes[worth.index(max(worth))]
    found = chosen(*boxes)
    assert found.box.sides == best[:4]
    assert found.count == 3


def test_of_equal_boxes_the_first_is_taken() -> None:
    assert chosen((80, 40, 100, 60, 0.9), (100, 40, 120, 60, 0.9)).box.left == 80


def test_the_area_that_counts_is_that_in_the_image() -> None:
    over = (-400, 30, 40, 70, 0.9)  # 40 of its 440 columns show
    assert chosen(over, (70, 30, 130, 70, 0.8)).box.left == 70


def test_a_box_over_the_border_is_kept_as_it_is() -> None:
    assert chosen((-7, -9, 60, 50, 0.9)).box == Box(-7, -9, 60, 50, "sure")


def test_a_box_of_three_pixels_is_a_box() -> None:
    assert chosen((50, 50, 53, 53, 0.9)).box == Box(50, 50, 53, 53, "sure")


@pytest.mark.parametrize("box", [(200, 0, 220, 10), (-9, 0, 0, 10), (50, 50, 50.004, 60)])
def test_a_box_that_shows_none_of_the_image_is_none(box: tuple[float, ...]) -> None:
    left, top, right, bottom = box
    found = chosen((left, top, right, bottom, 0.9))
    assert (found.box.rule, found.count, found.odd) == ("fallback", 0, False)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_takes_the_fallback_and_is_told(value: float) -> None:
    good = (50, 50, 60, 60, 0.9)
    expected = ChosenBox(Box(50, 0, 150, 100, "fallback"), 0.0, 0, odd=True)
    assert chosen(good, (0, 0, 5, 5, value)) == expected
    assert chosen(good, (value, 0, 5, 5, 0.9)) == expected


def test_rows_that_hold_no_box_may_hold_anything() -> None:
    assert chosen((50, 50, 60, 60, 0.9), (np.nan, 0, 5, 5, 0.0)).box.rule == "sure"


def test_nothing_found_takes_the_declared_fallback() -> None:
    assert chosen().box == Box(50, 0, 150, 100, "fallback")
    whole = BoxRule(fallback="whole")
    assert chosen(rule=whole).box == Box(0, 0, 200, 100, "fallback")


@pytest.mark.parametrize(
    ("size", "box"),
    [(Size(1, 1), Box(0, 0, 1, 1, "fallback")), (Size(5, 2), Box(0, 1, 2, 3, "fallback"))],
)
def test_the_centre_is_the_largest_square(size: Size, box: Box) -> None:
    assert fallback_box(size, "centre") == box


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(*[st.floats(-300, 300)] * 4, st.floats(0, 1)), min_size=1, max_size=5)
)
def test_there_is_always_a_box_and_it_shows_some_of_the_image(
    rows: list[tuple[float, ...]],
) -> None:
    array = np.array(rows)
    found = choose(array[:, :4], array[:, 4], SIZE, RULE)
    left, top, right, bottom = found.box.sides
    assert found.box.rule in RULES
    assert left < min(right, SIZE.width) and right > 0
    assert top < min(bottom, SIZE.height) and bottom > 0


def test_boxes_that_end_before_they_begin_are_told() -> None:
    boxes = np.array([[[0, 0, 1, 1], [5, 0, 1, 1], [0, 9, 1, 1], [2, 2, 2, 2]]], np.float64)
    assert is_inside_out(boxes).tolist() == [[False, True, True, False]]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (BoxRule(sure=0), "sure 0: expected a number above 0, 1 at most"),
        (BoxRule(sure=1.1), "sure 1.1"),
        (BoxRule(unsure=float("nan")), "unsure nan"),
        (BoxRule(centre=0.6), "centre 0.6: expected a number above 0, 0.5 at most"),
        (BoxRule(sure=0.3, unsure=0.4), "unsure 0.4 is above sure 0.3"),
        (BoxRule(fallback="none"), "fallback 'none': expected one of centre, whole"),  # type: ignore[arg-type]
        (BoxRule(sure=True), "sure True"),
    ],
)
def test_a_rule_out_of_range_is_refused(rule: BoxRule, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_rule(rule)


def test_the_usual_rule_is_one() -> None:
    check_rule(BoxRule())
