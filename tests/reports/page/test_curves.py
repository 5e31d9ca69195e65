"""Charts of reliability and of a frontier."""

import xml.etree.ElementTree as ET

from ensemble.evaluation.reliability import ReliabilityBin
from ensemble.recipe.policy import FrontierPoint
from ensemble.reports.page.curves import frontier_chart, reliability_chart


def kinds(text: str, tag: str) -> list[str]:
    return [each.attrib["class"] for each in ET.fromstring(text).iter(tag)]


def test_bins_of_few_rows_are_grey() -> None:
    bins = [ReliabilityBin(29, 0.3, 0.4, (0.2, 0.6)), ReliabilityBin(30, 0.9, 0.8, (0.7, 0.9))]
    assert kinds(reliability_chart(bins, ""), "circle") == ["dot ours faint", "dot ours"]


def test_every_point_of_a_frontier_is_drawn_and_the_knee_is_filled() -> None:
    points = [FrontierPoint({"a": ("plain",)}, 1, 0.001, 0.5, (0.4, 0.6), knee=False),
              FrontierPoint({"a": ("plain", "hflip")}, 2, 0.002, 0.7, None, knee=True)]  # fmt: skip
    text = frontier_chart(points, "accuracy", "")
    assert kinds(text, "circle") == ["dot", "dot ours"]
    assert kinds(text, "line").count("interval") == 1
