"""The picture of a frontier."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from ensemble.recipe.policy import FamilyPolicy, FrontierPoint, Policy
from ensemble.reports.frontier_figure import draw_frontier
from ensemble.voting.weights import Weights

POINTS = (FrontierPoint({"$odd": ("plain",)}, 2, 0.1, 0.9, (0.8, 0.95), knee=False),
          FrontierPoint({"$odd": ("plain", "hflip")}, 5, 0.2, 0.91, None, knee=True))  # fmt: skip
POLICY = Policy({"$odd": FamilyPolicy(("plain",), {0: "a"})}, Weights({"$odd": 1.0}), (), "label",
                1, 0.1, 0.0, frontier=POINTS)  # fmt: skip


def test_a_frontier_is_drawn_with_any_names_and_without_intervals(tmp_path: Path) -> None:
    draw_frontier(POLICY, tmp_path / "frontier.png")
    with Image.open(tmp_path / "frontier.png") as image:
        assert min(image.size) > 300


def test_the_same_policy_gives_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        draw_frontier(replace(POLICY, budget="5 ms an image"), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
