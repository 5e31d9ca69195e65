"""Runs of toy members on the CPU, and what they leave."""

from pathlib import Path
from typing import Any

from ensemble import Submission
from ensemble.api import predict


def submit(members: list[Path], images: Path, out: str = "out", **more: Any) -> Submission:
    """Run on the CPU, by ONNX Runtime unless `device` says otherwise."""
    return predict.run(members, images, out=out, **{"device": "cpu", **more})


def parts(store: Path = Path(".ensemble")) -> dict[str, int]:
    """The parts of the store and when they were written."""
    return {str(p): p.stat().st_mtime_ns for p in sorted(store.rglob("part-*.parquet"))}


def recipe_of(result: Submission) -> dict[str, Any]:
    return dict(result.record["recipe"])  # type: ignore[call-overload]


def damaged(images: Path) -> Path:
    """Cut one image short."""
    path = images / "img3.png"
    path.write_bytes(path.read_bytes()[:200])
    return images
