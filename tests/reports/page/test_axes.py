"""The frame of a chart names its scales and their numbers."""

import xml.etree.ElementTree as ET

from ensemble.reports.page.axes import Axes, chart, spread_over
from ensemble.reports.page.svg import Scale


def test_a_chart_has_the_numbers_of_both_scales_and_their_names() -> None:
    across, up = spread_over()
    axes = Axes(Scale(0, 4, *across), Scale(10, 30, *up), "cost", "score")
    words = [each.text for each in ET.fromstring(chart(axes, "about", [])).iter("text")]
    assert {"cost", "score", "0", "4", "10", "30"} <= set(words)


def test_what_is_more_stands_higher() -> None:
    _, up = spread_over()
    scale = Scale(0, 1, *up)
    assert scale(1) < scale(0)
