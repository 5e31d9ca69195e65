"""How long commands take to start, beside Python's own start.

    python benchmarks/speed/start.py

`ensemble --help`, `ensemble inspect` of one member, and a run of one member over one image, with an
empty store: the median of eleven calls, after one that warms up, in turns. Fails where --help takes
0.3 s or more, or the run 1.5 s or more. Writes results/start.md.
"""

import argparse
import datetime
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1]
FASHION = BENCHMARKS.parent / "models_zoo" / "fashion"
ENSEMBLE = [sys.executable, "-c", "from ensemble.cli import main; main()"]
BARE = "`python -c pass`"
BOUNDS = {"`ensemble --help`": 0.3, "`ensemble run`, one member, one image": 1.5}


def seconds_of(command: list[str], scratch: Path) -> float:
    """Return the seconds of a call, begun without `scratch`; Python keeps what it compiles."""
    shutil.rmtree(scratch, ignore_errors=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - begun


def commands(scratch: Path) -> dict[str, list[str]]:
    """Return what is timed, by title."""
    member = str(FASHION / "vgg-f0.onnx")
    image = str(min((FASHION / "images").glob("*.png")))
    return {
        BARE: [sys.executable, "-c", "pass"],
        "`ensemble --help`": [*ENSEMBLE, "--help"],
        "`ensemble inspect`, one member": [*ENSEMBLE, "inspect", member],
        "`ensemble run`, one member, one image": [
            *ENSEMBLE, "run", "--members", member, "--images", image,
            "--out", str(scratch / "out"), "--store", str(scratch / "store"),
        ],
    }  # fmt: skip


def main() -> None:
    """Print the table, write it down, and hold it against the bounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--out", type=Path, default=BENCHMARKS / "results" / "start.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "scratch"
        timed = commands(scratch)
        rounds = [
            {title: seconds_of(command, scratch) for title, command in timed.items()}
            for _ in range(args.rounds + 1)
        ][1:]
    middle = {title: statistics.median(each[title] for each in rounds) for title in timed}
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [f"# Start-up\n\n{today}, the median of {args.rounds}.\n"]
    lines += ["| command | seconds | beside Python's own |", "|---|---|---|"]
    lines += [f"| {t} | {s:.2f} | {s / middle[BARE]:.1f} times |" for t, s in middle.items()]
    text = "\n".join(lines) + "\n"
    print(text)
    args.out.write_text(text)
    slow = [title for title, bound in BOUNDS.items() if middle[title] >= bound]
    if slow:
        raise SystemExit(f"too slow: {', '.join(slow)}")


if __name__ == "__main__":
    main()
