"""Charts of values: dots of few rows, shades of many; bars of counts."""

import xml.etree.ElementTree as ET

import numpy as np

from ensemble.reports.page.density import bar_chart, residual_chart, values_chart

RNG = np.random.default_rng(0)


def count(text: str, tag: str) -> int:
    return len(list(ET.fromstring(text).iter(tag)))


def test_few_rows_are_dots_and_many_are_shades_of_a_bounded_number() -> None:
    few, many = RNG.random(50), RNG.random(20_000)
    assert count(values_chart(few, few, ""), "circle") == 50
    dense = values_chart(many, RNG.random(20_000), "")
    assert count(dense, "circle") == 0
    assert 0 < count(dense, "rect") <= 48 * 48


def test_rows_of_one_value_can_be_drawn() -> None:
    ones = np.ones(700)
    assert count(values_chart(ones, ones, ""), "rect") == 1
    assert count(residual_chart(ones - ones, ""), "rect") == 25


def test_each_number_has_a_bar_as_high_as_its_count() -> None:
    root = ET.fromstring(bar_chart({1: 10, 4: 5}, "evaluations", ""))
    heights = [float(each.attrib["height"]) for each in root.iter("rect")]
    assert heights[0] == 2 * heights[1]
