"""A dry run's plan, and what lies in the working folder."""

import json
from pathlib import Path

import pytest
from toys import ensemble

Captured = pytest.CaptureFixture[str]


def tree() -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in Path().rglob("*")}


def plan(capsys: Captured, *args: str | Path) -> dict[str, object]:
    capsys.readouterr()
    assert ensemble(*args, "--dry-run", "--json") == 0
    return dict(json.loads(capsys.readouterr().out))
