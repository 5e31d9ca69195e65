"""Seconds and memory of weights for many families.

    python benchmarks/blends/tune.py [--families 25] [--rows 50000] [--classes 10]

Log-loss weights, and the whole tune with its nested report in five folds, each in a process of its
own. Seconds are those of the call; memory is the largest resident set of the process, predictions
included.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ensemble.evaluation.metrics import metric_of
from ensemble.tuning.evidence import tune
from ensemble.tuning.fit import fit

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from blends import many

FOLDS = 5
METRIC = metric_of("log_loss", "classification")


def measured(work: str, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Return the seconds of one piece of work, and the largest resident set in MiB."""
    stack, y = many(*shape)
    begun = time.perf_counter()
    if work == "report":
        tune(stack, y, METRIC, folds=np.arange(len(y)) % FOLDS)
    else:
        fit(stack, y, METRIC, work)
    seconds = time.perf_counter() - begun
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(work: str, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Measure one piece of work in a process of its own."""
    command = [sys.executable, __file__, "--work", work]
    for name, size in zip(("families", "rows", "classes"), shape, strict=True):
        command += [f"--{name}", str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return tuple(json.loads(done.stdout))


def main() -> None:
    """Print a row for each piece of work."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--families", type=int, default=25)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    shape = args.families, args.rows, args.classes
    if args.work:
        print(json.dumps(measured(args.work, shape)))
        return
    print(f"{shape[0]} families, {shape[1]} rows, {shape[2]} classes; log-loss\n")
    print("| | seconds | peak memory |\n|---|---|---|")
    for title, work in {
        "weights, linear pool": "linear",
        "weights, log-linear pool (the default)": "log-linear",
        "the whole tune, nested report included": "report",
    }.items():
        seconds, most = apart(work, shape)
        print(f"| {title} | {seconds:.2f} | {most:.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
