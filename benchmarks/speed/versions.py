"""Whole commands of two checkouts, in turns: is the later one as quick?

    git worktree add ../earlier db82686
    python benchmarks/speed/versions.py old=../earlier new=.

Each command is a process of its own with an empty store, the checkouts in turns and their order
turned round by round, so that a slow minute meets both. Printed are the medians of the seconds, and
of the ratios round by round, below 1 where the second is quicker. Needs models_zoo/imagenet_lite
built, and the Debian package dataset-fashion-mnist.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from run import garments, photographs
from start import ENSEMBLE

ROOT = Path(__file__).parents[2]
LITE = ROOT / "models_zoo" / "imagenet_lite" / "work" / "members"
FASHION = ROOT / "models_zoo" / "fashion"
OOFS = [FASHION / "oof.parquet", FASHION / "oof_more.parquet"]


def cases(scale: float) -> dict[str, list[str]]:
    """Return the commands by name; `scale` times as many images as the tables of results/ have."""
    members, pair = f"{FASHION}/*.onnx", [f"{FASHION}/{name}-f0.onnx" for name in ("resnet", "vgg")]
    photos = listed(photographs(round(900 * scale)), "photographs")
    few = listed(garments(round(9000 * scale)), "garments")
    run = ["run", "--device", "cpu", "--store", "store", "--out", "out"]
    tune = [
        "tune-weights",
        *[arg for path in OOFS for arg in ("--oof", str(path))],
        "--labels",
        str(FASHION / "train.csv"),
        "--metric",
        "log_loss",
        "--out",
        "w.json",
    ]
    return {
        "three EfficientNet-Lite, hflip": [*run, "--members", f"{LITE}/*.onnx", "--images", photos,
                                           "--tta", "hflip"],
        "resnet and vgg of fashion, flip": [*run, "--members", *pair, "--images", few,
                                            "--tta", "flip"],
        "ten of fashion, hflip, exit 0.5 %": [*run, "--members", members, "--images", few, "--tta",
                                              "hflip", "--early-exit", "0.5%"],
        "tune-weights, 4 families, 60 000 rows": tune,
        "--help": ["--help"],
    }  # fmt: skip


def listed(paths: Sequence[Path], name: str) -> str:
    """Write a CSV of the images, and return its path."""
    target = Path(__file__).parents[1] / "work" / f"{name}.csv"
    target.write_text("path\n" + "".join(f"{path}\n" for path in paths))
    return str(target)


def seconds(checkout: Path, args: Sequence[str]) -> float:
    """Run a command of a checkout in an empty folder; return what the whole process took."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env = {**kept, "PYTHONPATH": str(checkout.resolve())}
        began = time.perf_counter()
        subprocess.run([*ENSEMBLE, *args], cwd=folder, env=env, check=True, capture_output=True)
        return time.perf_counter() - began


def main() -> None:
    """Race, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkouts", nargs=2, metavar="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    args = parser.parse_args()
    pairs = [text.partition("=") for text in args.checkouts]
    (old, first), (new, second) = ((name, Path(folder)) for name, _, folder in pairs)
    print(f"| command | {old}, s | {new}, s | {new} / {old} |\n|---|---|---|---|")
    for name, command in cases(args.scale).items():
        found = []
        for folder in (first, second):
            seconds(folder, command)  # Python keeps what it compiles
        for turn in range(args.rounds):
            order = [(0, first), (1, second)][:: 1 if turn % 2 else -1]
            found.append({side: seconds(folder, command) for side, folder in order})
        one, two = ([each[side] for each in found] for side in (0, 1))
        ratio = statistics.median(b / a for a, b in zip(one, two, strict=True))
        medians = f"{statistics.median(one):.2f} | {statistics.median(two):.2f}"
        print(f"| {name} | {medians} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()
