"""A policy on a page: every figure is that of policy.json."""

from pages import tables, texts

from ensemble.recipe.policy import FamilyPolicy, FrontierPoint, Policy
from ensemble.reports.page.blocks import Chart
from ensemble.reports.page.bought import ms_cell, policy_blocks
from ensemble.voting.weights import Weights

POINT = FrontierPoint({"ant": ("plain",)}, 2, 0.0015, 0.91, (0.9, 0.92), knee=True)
POLICY = Policy(
    {"ant": FamilyPolicy(("plain",), {0: "ab", 1: "cd"})}, Weights({"ant": 1.0}, metric="accuracy"),
    (), "label", 2, 0.0015, 0.1, "5ms", "worth it", {"ant: vflip": "hurts"}, (POINT,),
)  # fmt: skip


def test_the_frontier_has_its_points_and_its_chart() -> None:
    blocks = policy_blocks(POLICY)
    points, runs, views = tables(blocks)
    assert texts(points)[0] == ["ant: plain", "2", "1.500", "0.91000", "0.90000 to 0.92000",
                                "chosen"]  # fmt: skip
    assert texts(runs) == [["ant", "plain", "0, 1", "1.000"]]
    assert texts(views) == [["ant: vflip", "hurts"]]
    assert any(isinstance(block, Chart) for block in blocks)


def test_seconds_are_shown_as_milliseconds_and_kept_as_they_are() -> None:
    cell = ms_cell(0.0015)
    assert (cell.text, cell.exact) == ("1.500", "0.0015")
