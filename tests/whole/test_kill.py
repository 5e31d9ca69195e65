"""A short version of the kill campaign."""

import os
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).parents[2] / "benchmarks" / "campaigns" / "kill.py"


def test_a_killed_run_gives_the_same_bytes_when_it_is_started_again() -> None:
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--kills", "1", "--stride", "0", "--only", "run"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| run", "| oof"))]
    assert len(rows) == 1
    assert "| right | 1 |" in rows[0]
