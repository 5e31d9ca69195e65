"""The table of faults is complete: every fault has a row, and every row a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBERS = {*range(1, 43), 45, 46, 47, *range(53, 63), 65}


def rows() -> dict[int, list[tuple[str, str]]]:
    """Each row of the table: its number, and its tests as (path, name)."""
    page = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    section = page.split("## Faults and their tests\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (\d+) \|(.*)$", section, re.MULTILINE)
    assert len({number for number, _ in lines}) == len(lines), "a number stands there twice"
    return {int(n): re.findall(r"`([\w/.]+)::(\w+)`", rest) for n, rest in lines}


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_a_row() -> None:
    assert set(rows()) == NUMBERS


@pytest.mark.parametrize("number", sorted(rows()))
def test_each_row_names_tests_that_exist(number: int) -> None:
    named = rows()[number]
    assert named
    assert [(p, t) for p, t in named if not t.startswith("test_") or t not in names_in(p)] == []
