"""Whole commands with and without early exit, in turns: for `exit.py`."""

import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

COMMAND = [sys.executable, "-c", "from ensemble.cli import main; main()"]
RULES = ("off", "lossless", "0.1%", "0.5%", "1%", "2%")


@dataclass(frozen=True)
class Finish:
    """What one command took and gave: seconds, evaluations an image, the label of each id."""

    seconds: float
    evaluations: float
    labels: dict[str, str]


def run(members: Sequence[Path], images: Path, tta: str, rule: str) -> Finish:
    """Run one command with an empty store; its seconds are those of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        args = [*COMMAND, "run", "--members", *map(str, members), "--images", str(images),
                "--tta", tta, "--device", "cpu", "--early-exit", rule, "--output", "labels",
                "--store", f"{folder}/store", "--out", f"{folder}/out"]  # fmt: skip
        began = time.perf_counter()
        subprocess.run(args, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        with Path(folder, "out", "submission.csv").open(newline="") as stream:
            rows = list(csv.reader(stream))[1:]
        record = json.loads(Path(folder, "out", "run.json").read_text())
    exits = record.get("early_exit")
    evaluations = exits["evaluations_per_image"] if exits else record["evaluations"] / len(rows)
    return Finish(seconds, evaluations, dict(rows))


def race(
    members: Sequence[Path], images: Path, tta: str, truth: dict[str, str], rounds: int
) -> list[str]:
    """Return a table: each rule in turns, so that a slow minute meets all of them."""
    found: dict[str, list[Finish]] = {rule: [] for rule in RULES}
    for _ in range(rounds):
        for rule in RULES:
            found[rule].append(run(members, images, tta, rule))
            print(f"{tta}, {rule}: {found[rule][-1].seconds:.2f} s", file=sys.stderr)
    full = found["off"][0].labels
    lines = [
        f"## In seconds: {len(members)} members, `--tta {tta}`, {len(full)} images", "",
        "| `--early-exit` | seconds | quicker by | evaluations an image | labels that differ, % | "
        "accuracy, % |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for rule, runs in found.items():
        seconds = statistics.median(r.seconds for r in runs)
        ratio = statistics.median(
            off.seconds / own.seconds for off, own in zip(found["off"], runs, strict=True)
        )
        labels = runs[0].labels
        differ = 100 * np.mean([labels[i] != full[i] for i in full])
        right = 100 * np.mean([labels[i] == truth[i] for i in full])
        evaluations = "all" if rule == "off" else f"{runs[0].evaluations:.2f}"
        lines.append(f"| {rule} | {seconds:.2f} | {ratio:.2f}x | {evaluations} | {differ:.3f} | "
                     f"{right:.2f} |")  # fmt: skip
    return [*lines, ""]
