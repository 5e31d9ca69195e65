"""OpenVINO against ONNX Runtime on a CPU: whole runs, from files to submission.csv.

    python benchmarks/speed/cpu.py

The three imagenet_lite members over JPEGs of about 500x375 under `--tta hflip`: in float32 by both,
in bfloat16 by OpenVINO, and int8 members by both, calibrated on crops of other photographs. Each
run is a process of its own with an empty store, in turns, so that a slow minute of the machine
meets all of them; imports are not counted. Labels and probabilities are held against those of
ONNX Runtime in float32. Needs the zoo (make zoo) and the extra openvino. Writes
results/cpu.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from int8 import crops
from racers import CORES, LITE
from run import photographs

BENCHMARKS = Path(__file__).parents[1]
FIRST = "ONNX Runtime, float32"
WAYS = {
    FIRST: ("fp32", "cpu", "fp32"),
    "OpenVINO, float32": ("fp32", "openvino", "fp32"),
    "OpenVINO, bfloat16": ("fp32", "openvino", "bf16"),
    "ONNX Runtime, int8": ("int8", "cpu", "fp32"),
    "OpenVINO, int8": ("int8", "openvino", "fp32"),
}
"""The members, the device and the precision of each way."""

JUDGED = ("chelsea", "motorcycle_left")
"""Photographs that calibrate no int8 member: only crops of these tell what int8 changes."""


def alone(way: str, folder: Path, images: Path) -> tuple[float, np.ndarray]:
    """Run one way in a process of its own; return its seconds and its probabilities (N, C)."""
    command = [sys.executable, __file__, "--way", way, "--work", str(folder)]
    command += ["--list", str(images)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = float(json.loads(done.stdout.splitlines()[-1]))
    print(f"{way}: {seconds:.1f} s", file=sys.stderr)
    return seconds, np.load(folder / "probs.npy")


def run_way(way: str, folder: Path, images: Path) -> None:
    """Do what `alone` asks for, in this process."""
    from ensemble import run

    kind, device, precision = WAYS[way]
    members = sorted((LITE / "members" if kind == "fp32" else folder / "int8").glob("*.onnx"))
    paths = [Path(line) for line in images.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as out:
        begun = time.perf_counter()
        told = run(members, paths, tta="hflip", device=device, precision=precision,
                   out=f"{out}/out", store=f"{out}/store")  # fmt: skip
        seconds = time.perf_counter() - begun
    np.save(folder / "probs.npy", told.probs)
    print(json.dumps(seconds))


def quantised(folder: Path) -> None:
    """Make the int8 members."""
    from ensemble import quantize_members

    sources = [p for p in sorted((LITE / "photographs").glob("*.jpg")) if p.stem not in JUDGED]
    crops(sources, folder / "calibrate", 256)
    members = sorted((LITE / "members").glob("*.onnx"))
    quantize_members(members, folder / "calibrate", folder / "int8", max_disagreement=1)


def table(told: dict[str, list[tuple[float, np.ndarray]]], judged: np.ndarray) -> list[str]:
    """Return the rows: speed beside ONNX Runtime's float32, and what changes."""
    lines = ["| | images/s | times ONNX Runtime, float32 (least, most) | labels that change | "
             "of crops that calibrated nothing | largest difference of a probability |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    base = [seconds for seconds, _ in told[FIRST]]
    full = told[FIRST][0][1]
    for way, runs in told.items():
        seconds, probs = [s for s, _ in runs], runs[0][1]
        ratios = [b / s for b, s in zip(base, seconds, strict=True)]
        changed = full.argmax(1) != probs.argmax(1)
        speed = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})"
        lines.append(
            f"| {way} | {len(full) / statistics.median(seconds):.1f} | {speed} | "
            f"{changed.sum()} of {len(full)} | {changed[judged].sum()} of {judged.sum()} | "
            f"{abs(full - probs).max():.3g} |"
        )
    return lines


def main() -> None:
    """Race all ways in turns; print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        run_way(asked.way, asked.work, asked.list)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, images = Path(name), Path(name, "images.txt")
        paths = photographs(asked.images)
        images.write_text("\n".join(map(str, paths)))
        quantised(folder)
        told: dict[str, list[tuple[float, np.ndarray]]] = {way: [] for way in WAYS}
        for _ in range(asked.rounds):
            for way, runs in told.items():
                runs.append(alone(way, folder, images))
    sources = sorted(p.stem for p in (LITE / "photographs").glob("*.jpg"))
    judged = np.array([sources[i % len(sources)] in JUDGED for i in range(len(paths))])
    about = (
        f"`python benchmarks/speed/cpu.py` on {time.strftime('%Y-%m-%d')}, {CORES} cores of a "
        f"shared machine; {len(paths)} photographs, lite0 to lite2, hflip, "
        f"{asked.rounds} turns."
    )
    text = "\n".join(["# OpenVINO", "", about, "", *table(told, judged), ""])
    print(text)
    (BENCHMARKS / "results" / "cpu.md").write_text(text)


if __name__ == "__main__":
    main()
