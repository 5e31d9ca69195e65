"""Drawings: places, round numbers, and text that is escaped."""

import xml.etree.ElementTree as ET

import pytest

from ensemble.reports.page import svg


def test_values_stand_between_the_ends_and_never_beyond() -> None:
    scale = svg.Scale(0, 10, 100, 300)
    assert [scale(value) for value in (0, 5, 10, -3, 99)] == [100, 200, 300, 100, 300]


def test_a_scale_of_one_value_has_it_in_the_middle() -> None:
    assert svg.Scale(2, 2, 0, 10)(2) == 5
    scale = svg.scale_of([3.0], 0, 10)
    assert scale(3.0) == pytest.approx(5)
    assert svg.scale_of([0.0, 0.0], 0, 10)(0.0) == pytest.approx(5)


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]), ((0.93, 0.96), [0.93, 0.94, 0.95, 0.96]),
     ((0, 20), [0, 5, 10, 15, 20]), ((-1, 1), [-1, -0.5, 0, 0.5, 1])],
)  # fmt: skip
def test_ticks_are_round(ends: tuple[float, float], ticks: list[float]) -> None:
    assert svg.Scale(*ends, 0, 100).ticks() == pytest.approx(ticks)


def test_a_drawing_is_xml_whatever_its_words() -> None:
    odd = "<script>\"'&"
    parts = [svg.words(0, 0, odd), svg.dot(1, 1, "dot", about=odd), svg.turned(1, 1, odd),
             svg.bar(0, 0, 1, 1, odd), svg.line(0, 0, 1, 1, "grid"), svg.path([(0, 1)], "curve"),
             svg.shade(0, 0, 1, 1, 0.5)]  # fmt: skip
    root = ET.fromstring(svg.drawing(10, 10, odd, parts))
    assert root.attrib["aria-label"] == odd
    assert "".join(root.itertext()) == odd * 4
