"""Command lines as processes of their own, with faults put into them from outside."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = "from ensemble.cli import main; main()"

POISON = """
import os, ensemble.images.decode as d
decode = d.Image.open
def poisoned(stream, **more):
    if b"POISON" in stream.getvalue():
        os.abort()
    return decode(stream, **more)
d.Image.open = poisoned
"""
"""Images that hold this word crash the decoder."""


def start(
    folder: Path, *args: str | Path, faults: str = "", **environment: str
) -> subprocess.Popen[str]:
    """Start a command in a folder; `faults` is code that each of its processes runs first."""
    (folder / "faults").mkdir(parents=True, exist_ok=True)
    (folder / "faults" / "sitecustomize.py").write_text(faults)
    path = os.pathsep.join([str(folder / "faults"), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, args)], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], patience: float = 60) -> tuple[int, str]:
    """Return the exit code of a command, and what it said on stderr."""
    said = process.communicate(timeout=patience)[1]
    return process.returncode, said
