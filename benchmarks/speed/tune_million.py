"""What `ensemble tune-weights` costs on a million rows: seconds and peak memory of whole commands.

    python benchmarks/speed/tune_million.py
    python benchmarks/speed/tune_million.py --rows 100000 --metric log_loss --profile

Six families of 18 classes, five folds: made up, written by the product's own writer, and tuned by
the command in a process of its own, nested report included. Prints a table; with `--profile`, which
makes the command slower, also where the time goes: the functions of the package in whose calls, of
others too, most processor seconds pass, those of all threads. `measure` gives its figures to other
scripts.
"""

import argparse
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ensemble.files.csv_tables import csv_bytes
from ensemble.predictions.oof_file import OofFile, write

PLAIN = "from ensemble.cli import main; main()"
PROFILED = """
import cProfile, sys, time
from ensemble.cli import main
path, profile = sys.argv.pop(1), cProfile.Profile(time.process_time)
try:
    profile.runcall(main)
finally:
    profile.dump_stats(path)
"""
ROWS, CLASSES, FAMILIES, FOLDS = 1_000_000, 18, 6, 5
METRICS = ("log_loss", "f1_macro")
BLOCK = 100_000
LEAST, SHOWN = 0.1, 30
"""Functions that take so many seconds are shown, so many of them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds on the wall and of processors, and its peak in GiB.

    `parts` are the processor seconds that pass within calls of functions, the longest first; none
    where they are not asked for.
    """

    metric: str
    rows: int
    seconds: float
    processors: float
    peak: float
    parts: dict[str, float]


def make(folder: Path, rows: int = ROWS) -> list[Path]:
    """Write an OOF Parquet a family and labels.csv; return the Parquets.

    A family's logits are the truth's, weaker the later it comes, noise that all share, and its own.
    Classes are as rare as 1 to 40 of the commonest.
    """
    rng = np.random.default_rng(16)
    shares = np.geomspace(1, 1 / 40, CLASSES)
    y = rng.choice(CLASSES, rows, p=shares / shares.sum())
    y[:CLASSES] = np.arange(CLASSES)
    names, ids = [f"c{c:02d}" for c in range(CLASSES)], tuple(f"{i:07d}.jpg" for i in range(rows))
    lines = [("id", "label"), *((i, names[c]) for i, c in zip(ids, y.tolist(), strict=True))]
    (folder / "labels.csv").write_bytes(csv_bytes(lines))
    folds = np.arange(rows, dtype=np.int64) % FOLDS
    shared = [rng.standard_normal((len(part), CLASSES), np.float32) for part in _blocks(y)]
    written = []
    for family in range(FAMILIES):
        blocks = [
            _probs(part, noise, 2.5 - 0.15 * family, rng)
            for part, noise in zip(_blocks(y), shared, strict=True)
        ]
        path = folder / f"family{family}.parquet"
        probs = {path.stem: np.concatenate(blocks)}
        write(path, OofFile(ids, tuple(names), probs, folds))
        written.append(path)
    return written


def _blocks(y: np.ndarray) -> list[np.ndarray]:
    return [y[start : start + BLOCK] for start in range(0, len(y), BLOCK)]


def _probs(y: np.ndarray, shared: np.ndarray, skill: float, rng: np.random.Generator) -> np.ndarray:
    logits = shared + rng.standard_normal(shared.shape, np.float32)
    logits[np.arange(len(y)), y] += np.float32(skill)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def measure(folder: Path, metric: str, rows: int = ROWS, *, profiled: bool = False) -> Cost:
    """Tune by the command on what `make` wrote into a folder, and return what it took."""
    given = [arg for path in sorted(folder.glob("family*.parquet")) for arg in ("--oof", str(path))]
    profile = folder / f"{metric}.prof"
    begin = [PROFILED, str(profile)] if profiled else [PLAIN]
    command = [sys.executable, "-c", *begin, "tune-weights", *given,
               "--labels", str(folder / "labels.csv"), "--metric", metric,
               "--out", str(folder / f"{metric}.json")]  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=kept, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"tune-weights ended with {process.returncode}")
    seconds, processors = time.perf_counter() - began, used.ru_utime + used.ru_stime
    return Cost(metric, rows, seconds, processors, used.ru_maxrss / 2**20,
                _parts(profile) if profiled else {})  # fmt: skip


def _parts(profile: Path) -> dict[str, float]:
    """Return the seconds within calls of the package's functions, of those that take long."""
    stats = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    found = {
        f"{path.rpartition('ensemble/')[2].removesuffix('.py')}.{name}": round(within, 1)
        for (path, _, name), (_, _, _, within, _) in stats.items()
        if "/ensemble/" in path and "cli/" not in path and within >= LEAST
    }
    return dict(sorted(found.items(), key=lambda part: -part[1])[:SHOWN])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--metric", action="append", choices=METRICS)
    parser.add_argument("--profile", action="store_true", help="tell where the time goes")
    parser.add_argument("--json", type=Path, help="where the figures go, a record a metric")
    parser.add_argument("--folder", type=Path, help="where the files lie, or are made; kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "labels.csv").exists():
            make(folder, args.rows)
        print("| rows | metric | seconds | processor seconds | peak, GiB |\n|---|---|---|---|---|")
        wanted = args.metric or METRICS
        costs = [_shown(folder, metric, args.rows, profiled=args.profile) for metric in wanted]
    for cost in costs if args.profile else ():
        print(f"\n{cost.metric}: processor seconds within calls of")
        for name, within in cost.parts.items():
            print(f"{within:8.1f}  {name}")
    if args.json:
        args.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n")


def _shown(folder: Path, metric: str, rows: int, *, profiled: bool) -> Cost:
    cost = measure(folder, metric, rows, profiled=profiled)
    print(f"| {cost.rows} | {metric} | {cost.seconds:.1f} | {cost.processors:.1f} | "
          f"{cost.peak:.2f} |", flush=True)  # fmt: skip
    return cost


if __name__ == "__main__":
    main()
