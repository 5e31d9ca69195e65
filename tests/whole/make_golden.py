"""Makes the golden files: a plain run, early exits, a vote, an OOF and a tune of the fashion zoo.

Run as a script it writes them anew into tests/whole/golden. On one machine not a byte may change
then, times and versions apart, which are masked.
"""

import json
import os
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ensemble.cli import main

GOLDEN = Path(__file__).parent / "golden"
ZOO = Path(__file__).parents[2] / "models_zoo" / "fashion"
MASKED = ("seconds", "versions", "cost", "noise", "check")
"""What a clock, a release or the kernels of a processor decide, in a JSON file of any depth."""

Command = Callable[..., int]

_IMAGES = 40
_GIVEN = {"pool": "log-linear", "weights": {"resnet": 0.5, "vgg": 0.75}, "temperature": 1.25}
_ENGINE = ("--device", "cpu", "--batch-size", "16", "--shard-size", "16", "--threads", "2")


def make(folder: Path, command: Command) -> dict[str, bytes]:
    """Run every case in an empty folder, which is the working one; return the files by name."""
    (folder / "images").mkdir()
    for image in sorted((ZOO / "images").iterdir())[:_IMAGES]:
        shutil.copy(image, folder / "images")
    for name in ("folds", "train"):
        source, pattern = (ZOO, "*.onnx") if name == "folds" else (ZOO / "train", "*.png")
        (folder / name).mkdir()
        for path in source.glob(pattern):
            shutil.copy(path, folder / name)
    shutil.copy(ZOO / "train_few.csv", folder / "train.csv")
    rows = (ZOO / "sample_submission.csv").read_text().splitlines(keepends=True)
    (folder / "sample.csv").write_text("".join(rows[: _IMAGES + 1]))
    (folder / "given.json").write_text(json.dumps(_GIVEN))
    for arguments in _cases():
        if command(*arguments):
            raise SystemExit(f"failed: {' '.join(arguments)}")
    return _files(folder)


def _cases() -> list[Sequence[str]]:
    members = ("--members", "folds", *_ENGINE)
    run = ("run", *members, "--tta", "hflip", "--images", "images", "--sample", "sample.csv")
    return [
        (*run, "--store", "plain-store", "--out", "plain"),
        (*run, "--store", "lossless-store", "--out", "lossless", "--early-exit", "lossless"),
        (*run, "--store", "budget-store", "--out", "budget", "--evals-per-image", "6",
         "--weights", "resnet=0.6,vgg=0.4"),
        ("vote", "plain", "--voting", "hard", "--weights", "resnet=0.6,vgg=0.4", "--out", "vote"),
        ("oof", *members, "--images", "train", "--folds", "train.csv", "--out", "oof.parquet",
         "--store", "oof-store"),
        ("tune-weights", "--oof", "oof.parquet", "--labels", "train.csv", "--metric", "log_loss",
         "--out", "weights.json"),
        ("run", *members, "--images", "images", "--weights", "given.json", "--output", "probs",
         "--store", "plain-store", "--out", "weighted"),
    ]  # fmt: skip


def _files(folder: Path) -> dict[str, bytes]:
    """Return what is compared: of a key that the store made, the name has no hash in it."""
    found = {}
    for run in ("plain", "lossless", "budget", "vote", "weighted"):
        for name in ("run.json", "submission.csv", "predictions.parquet", "_SUCCESS"):
            found[f"{run}/{name}"] = (folder / run / name).read_bytes()
    for store in ("plain-store", "lossless-store", "budget-store", "oof-store"):
        for path in sorted((folder / store / "predictions").glob("*/*.json")):
            if path.name in ("key.json", "plan.json"):
                found[f"{store}/{path.parent.name}/{path.name}"] = path.read_bytes()
    for name in ("oof.parquet", "weights.json"):
        found[name] = (folder / name).read_bytes()
    return {name: _masked(name, content) for name, content in found.items()}


def _masked(name: str, content: bytes) -> bytes:
    if name.endswith((".json", "_SUCCESS")):
        return json.dumps(_without(json.loads(content)), indent=1).encode()
    return content


def _without(value: object) -> object:
    if isinstance(value, dict):
        return {k: "masked" if k in MASKED else _without(v) for k, v in value.items()}
    return [_without(v) for v in value] if isinstance(value, list) else value


def _command(*arguments: str) -> int:
    try:
        main(list(arguments))
    except SystemExit as done:
        return int(done.code or 0)
    return 0


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        made = make(Path(folder), _command)
        os.chdir(GOLDEN.parent)
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for name, content in made.items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    sys.stdout.write(f"{len(made)} files in {GOLDEN}\n")
