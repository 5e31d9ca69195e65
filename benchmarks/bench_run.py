"""A run against its floor and against the usual way, on the imagenet_lite zoo.

    python benchmarks/bench_run.py

- ours: `ensemble.run`, from files to submission.csv, with an empty store.
- floor: what no run can beat: the same ONNX Runtime sessions on tensors that are there already,
  plus one decode, and one resize a size, over the same cores.
- usual: PyTorch eager, a DataLoader with timm's transform, ttach's wrapper, one pass a member;
  as people write it (batches of 32, no workers), and with the best of several batch sizes and
  worker counts.

Each is a process of its own, in turns, so that a slow minute of the machine meets all of them.
Imports are not counted. The labels of all must be the same. Needs the zoo (make zoo). Takes about
half an hour on two cores; --images 60 --rounds 1 gives a first impression.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
ZOO = HERE.parent / "models_zoo" / "imagenet_lite" / "work"
IMAGES = HERE / "work" / "images"
CORES = len(os.sched_getaffinity(0))

Labels = dict[str, int]


def make_images(count: int) -> None:
    """Cut JPEGs of about 500x375 from the zoo's photographs."""
    sources = [Image.open(p).convert("RGB") for p in sorted((ZOO / "photographs").glob("*.jpg"))]
    rng = np.random.default_rng(0)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = IMAGES / f"photo{number:04d}.jpg"
        if path.exists():
            continue
        source = sources[number % len(sources)]
        share = rng.uniform(0.6, 1)
        width, height = int(source.width * share), int(source.height * share)
        left = int(rng.integers(source.width - width + 1))
        top = int(rng.integers(source.height - height + 1))
        cut = source.crop((left, top, left + width, top + height))
        size = (int(rng.integers(480, 521)), int(rng.integers(360, 391)))
        cut.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)


def ours(members: list[Path], images: list[Path], tta: str) -> tuple[float, Labels]:
    """Time `ensemble.run`."""
    from ensemble import run

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = run(members, images, tta=tta, out=f"{folder}/out", store=f"{folder}/store")
        seconds = time.perf_counter() - start
    place = {name: number for number, name in enumerate(result.classes)}
    return seconds, {i: place[n] for i, n in zip(result.ids, result.labels, strict=True)}


def floor(members: list[Path], images: list[Path], tta: str) -> tuple[float, Labels]:
    """Time the sessions on preloaded tensors, plus one decode and one resize a size."""
    from ensemble.decode import decode
    from ensemble.lineup import read_policy, start
    from ensemble.members import open_member
    from ensemble.preprocess import resize
    from ensemble.spec import DecodePolicy

    opened = [open_member(path) for path in members]
    geometries = list(dict.fromkeys(m.card.preprocess.geometry for m in opened))

    def load(path: Path) -> list[np.ndarray]:
        image = decode(path.read_bytes(), DecodePolicy()).image
        return [resize(image, geometry) for geometry in geometries]

    begun = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        rows = list(pool.map(load, images))
    decoding = time.perf_counter() - begun
    pixels = {g: np.stack([row[k] for row in rows]) for k, g in enumerate(geometries)}
    scoring = 0.0
    total = np.zeros((len(images), len(opened[0].card.heads[0].classes)))
    for member in opened:
        player = start(member, read_policy(tta), "mean", device="cpu", threads=CORES, batch=32)
        batches = np.array_split(
            pixels[member.card.preprocess.geometry], max(1, len(images) // player.batch)
        )
        begun = time.perf_counter()
        total += np.concatenate([player.scorer.score(batch)["label"] for batch in batches])
        scoring += time.perf_counter() - begun
    labels = {path.stem: int(row.argmax()) for path, row in zip(images, total, strict=True)}
    return decoding + scoring, labels


def usual(
    members: list[Path], images: list[Path], tta: str, *, batch: int = 32, workers: int = 0
) -> tuple[float, Labels]:
    """Time PyTorch eager with a DataLoader a member and ttach's wrapper."""
    import timm
    import torch
    import ttach
    from safetensors.torch import load_file
    from timm.data import create_transform, resolve_model_data_config
    from torch.utils.data import DataLoader

    views = getattr(ttach.aliases, f"{tta}_transform")()
    torch.set_num_threads(CORES)
    begun = time.perf_counter()
    total: torch.Tensor | float = 0.0
    for path in members:
        net = timm.create_model(f"tf_efficientnet_{path.stem}")
        net.load_state_dict(load_file(ZOO / f"{path.stem}.safetensors"))
        transform = create_transform(**resolve_model_data_config(net))
        wrapped = ttach.ClassificationTTAWrapper(
            torch.nn.Sequential(net, torch.nn.Softmax(1)).eval(), views
        )
        loader = DataLoader(_Folder(images, transform), batch_size=batch, num_workers=workers)
        with torch.inference_mode():
            total = total + torch.cat([wrapped(pixels) for pixels in loader])
    seconds = time.perf_counter() - begun
    return seconds, {p.stem: int(row.argmax()) for p, row in zip(images, total, strict=True)}


class _Folder:
    """A data set as people write it: open, convert, transform."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], object]) -> None:
        self._paths, self._transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> object:
        return self._transform(Image.open(self._paths[row]).convert("RGB"))


def alone(name: str, args: argparse.Namespace, **options: int) -> tuple[float, Labels]:
    """Run a contestant in a process of its own."""
    command = [sys.executable, __file__, "--contestant", name, "--images", str(args.images),
               "--tta", args.tta, "--options", json.dumps(options)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, labels = json.loads(done.stdout.splitlines()[-1])
    print(f"{name} {options or ''}: {len(labels)} images in {seconds:.1f} s", file=sys.stderr)
    return seconds, labels


def tune(args: argparse.Namespace) -> dict[str, int]:
    """Return the quickest batch size and worker count of the usual way, on a part of the images."""
    part = argparse.Namespace(**{**vars(args), "images": max(args.images // 4, 1)})
    grid = [
        {"batch": batch, "workers": workers}
        for batch, workers in itertools.product((4, 8, 16, 32), (0, CORES))
    ]
    seconds = [alone("usual", part, **options)[0] for options in grid]
    return grid[int(np.argmin(seconds))]


def main() -> None:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tta", default="flip")
    parser.add_argument("--contestant", choices=["ours", "floor", "usual"], help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, default={}, help=argparse.SUPPRESS)
    args = parser.parse_args()
    make_images(args.images)
    members = sorted((ZOO / "members").glob("*.onnx"))
    images = sorted(IMAGES.glob("*.jpg"))[: args.images]
    if args.contestant:
        run = {"ours": ours, "floor": floor, "usual": usual}[args.contestant]
        print(json.dumps(run(members, images, args.tta, **args.options)))
        return

    best = tune(args)
    tuned = f"usual, tuned: batch {best['batch']}, {best['workers']} workers"
    contestants = {
        "floor": ("floor", {}),
        "ours": ("ours", {}),
        tuned: ("usual", best),
        "usual: batch 32, no workers": ("usual", {}),
    }
    times: dict[str, list[float]] = {title: [] for title in contestants}
    answers = []
    for _ in range(args.rounds):
        for title, (name, options) in contestants.items():
            seconds, labels = alone(name, args, **options)
            times[title].append(seconds)
            answers.append(labels)
    if any(labels != answers[0] for labels in answers):
        raise SystemExit("the contestants give different labels")
    base = statistics.median(times["ours"])
    print(f"{len(images)} JPEGs, {len(members)} members, --tta {args.tta}, {CORES} cores, "
          f"median of {args.rounds} rounds; the same labels from all")  # fmt: skip
    print("| | seconds | images/s | times ours |\n|---|---|---|---|")
    for title, seconds in times.items():
        middle = statistics.median(seconds)
        rate = len(images) / middle
        print(f"| {title} | {middle:.1f} | {rate:.1f} | {middle / base:.2f} |")


if __name__ == "__main__":
    main()
