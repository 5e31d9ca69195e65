"""The store of the fixture `a_run`, and what lies in it."""

from pathlib import Path
from typing import Any

from ensemble.predictions.store import LOCK

STORE, RUNS = Path(".ensemble"), [Path("submissions")]


def files() -> dict[str, bytes]:
    found = (p for p in sorted(Path().rglob("*")) if p.is_file() and p.name != LOCK)
    return {str(p): p.read_bytes() for p in found}


def a_part() -> Path:
    return sorted(STORE.rglob("part-00001.parquet"))[0]


def refused(folder: str | Path) -> Any:
    raise PermissionError(13, "Permission denied", str(folder))
