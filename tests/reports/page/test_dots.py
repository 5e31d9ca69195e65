"""A chart of scores has a line, a dot and a number each."""

import xml.etree.ElementTree as ET

from ensemble.reports.page.dots import Scored, dot_chart


def test_each_score_has_its_name_its_dot_and_its_number() -> None:
    lines = [Scored("<ant>", 0.25), Scored("bee", 0.5, (0.4, 0.6), "dot ours")]
    root = ET.fromstring(dot_chart(lines, "scores"))
    words = [each.text for each in root.iter("text")]
    assert {"<ant>", "bee", "0.2500", "0.5000"} <= set(words)
    left, right = (float(each.attrib["cx"]) for each in root.iter("circle"))
    assert left < right
    assert [e.attrib["class"] for e in root.iter("line")].count("interval") == 1


def test_a_line_stands_at_zero_where_that_is_asked_for() -> None:
    kinds = [
        e.attrib["class"]
        for e in ET.fromstring(dot_chart([Scored("a", 1.0)], "", zero=True)).iter("line")
    ]
    assert kinds.count("zero") == 1
