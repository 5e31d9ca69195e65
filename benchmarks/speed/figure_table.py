"""A table of figures beside their goals, of which some rows may be measured anew."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TITLES = ("row", "figure", "goal", "found", "met", "beside", "when, load")
RULE = "|---" * len(TITLES) + "|"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure beside its goal, which is its least where `at_least`, and else its most."""

    what: str
    goal: float
    found: float
    unit: str = ""
    middle: float | None = None
    beside: str = ""
    at_least: bool = False

    def cells(self) -> tuple[str, ...]:
        """Return what a table says of it."""
        met = self.found >= self.goal if self.at_least else self.found <= self.goal
        found = f"{self.found:.3g}{self.unit}"
        if self.middle is not None:
            found += f" ({self.middle:.3g})"
        goal = f"{'≥' if self.at_least else '≤'} {self.goal:.3g}{self.unit}"
        return self.what, goal, found, "yes" if met else "NO", self.beside


def cells_of(line: str) -> list[str]:
    """Return the cells of a table's line."""
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


def line_of(cells: Iterable[str]) -> str:
    """Return a table's line."""
    return f"| {' | '.join(cells)} |"


def earlier(path: Path) -> dict[str, list[str]]:
    """Return the lines that were written before, by their rows."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("|") and line not in (line_of(TITLES), RULE):
            found.setdefault(cells_of(line)[0], []).append(line)
    return found


def text_of(head: str, lines: Mapping[str, Sequence[str]], order: Iterable[str]) -> str:
    """Return the whole page, its rows in order."""
    rows = [line for row in order for line in lines.get(row, [])]
    return "\n".join([head, line_of(TITLES), RULE, *rows, ""])
