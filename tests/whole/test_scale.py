"""The table of growth keeps the rows that are not measured anew, and says what falls short."""

import runpy
from pathlib import Path

import pytest

TABLE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/speed/figure_table.py"))


def test_rows_that_were_written_are_read_as_they_were(tmp_path: Path) -> None:
    lines = {"scan": ["| scan | a |  | b |", "| scan | c |  |  |"], "vote": ["| vote | d | e | |"]}
    page = tmp_path / "scale.md"
    page.write_text(TABLE["text_of"]("# Head\n", lines, ["vote", "scan", "tune"]))
    assert TABLE["earlier"](page) == lines
    assert page.read_text().splitlines()[-3:] == [*lines["vote"], *lines["scan"]]
    assert TABLE["earlier"](tmp_path / "none.md") == {}


@pytest.mark.parametrize(
    ("at_least", "found", "met"),
    [(True, 0.9, "yes"), (True, 0.89, "NO"), (False, 0.9, "yes"), (False, 0.91, "NO")],
)
def test_a_figure_meets_its_goal_from_the_right_side(
    at_least: bool, found: float, met: str
) -> None:
    assert TABLE["Figure"]("speed", 0.9, found, at_least=at_least).cells()[3] == met
