"""A run against its floor and against the usual way, on the real nets of both zoos.

    python benchmarks/speed/run.py

- ours: `ensemble.run`, from files to submission.csv, with an empty store.
- floor: what no run can beat: the members alone, without our graph, in ONNX Runtime on float32
  tensors that are there already and normalised, one forward a view, each at its best batch size and
  with the better of threads within an operator and batches side by side; plus one decode, and one
  resize a size, over the same cores.
- usual: PyTorch eager, a DataLoader with timm's transform, ttach's wrapper, one pass a member;
  as people write it (batches of 32, a worker a core), and with the best of several batch sizes and
  worker counts.

Each is a process of its own, in turns, so that a slow minute of the machine meets all of them; the
usual ways take a third of the images. A case of d4 takes a third of them in all, as each takes
eight forwards. Imports are not counted. The labels of all must be the same. Then a run over 1 000
and over 10 000 images, for its memory and its slope. Needs the zoos (make zoo) and the Debian
package dataset-fashion-mnist. Takes about two hours on two cores; `--images 64 --rounds 1 --cases
imagenet_lite:hflip` gives a first impression. Writes results/run.md.
"""

import argparse
import datetime
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from racers import CORES, FASHION, LITE, Race, floor, ours, tune_floor, usual

BENCHMARKS = Path(__file__).parents[1]
CASES = ("imagenet_lite:none", "imagenet_lite:hflip", "imagenet_lite:d4",
         "fashion:none", "fashion:flip")  # fmt: skip
RACERS = {"ours": ours, "floor": floor, "usual": usual}
SMALL, LARGE = 1_000, 10_000
TIMES_MORE = 10
"""So many fashion images are scored for each photograph: they are small."""

EIGHTFOLD = "d4"
"""Takes eight forwards an image, so it takes a third of the images."""

Told = dict[str, object]


def photographs(count: int) -> list[Path]:
    """Cut JPEGs of about 500x375 from the zoo's photographs."""
    folder = BENCHMARKS / "work" / "images"
    sources = [Image.open(p).convert("RGB") for p in sorted((LITE / "photographs").glob("*.jpg"))]
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo{number:04d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        source = sources[number % len(sources)]
        share = rng.uniform(0.6, 1)
        width, height = int(source.width * share), int(source.height * share)
        left = int(rng.integers(source.width - width + 1))
        top = int(rng.integers(source.height - height + 1))
        size = (int(rng.integers(480, 521)), int(rng.integers(360, 391)))
        if path.exists():
            continue
        cut = source.crop((left, top, left + width, top + height))
        cut.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def garments(count: int) -> list[Path]:
    """Write test images of Fashion-MNIST as PNG."""
    sys.path.insert(0, str(FASHION))
    from data import DATA, ids_of, read_split
    from measure import write_images

    pixels, _ = read_split(DATA, "t10k")
    folder = FASHION / "work" / "test"
    write_images(folder, pixels, ids_of("test", len(pixels)))
    return sorted(folder.glob("*.png"))[:count]


def images_of(zoo: str, count: int) -> list[Path]:
    """Return images for a zoo, made where they are missing."""
    return photographs(count) if zoo == "imagenet_lite" else garments(count)


def count_of(case: str, images: int) -> int:
    """Return how many images a case takes where a plain one takes so many photographs."""
    zoo, _, tta = case.partition(":")
    count = images * (1 if zoo == "imagenet_lite" else TIMES_MORE)
    return max(count // 3, 1) if tta == EIGHTFOLD else count


def alone(racer: str, case: str, count: int, **options: object) -> Told:
    """Run a racer in a process of its own."""
    command = [sys.executable, __file__, "--racer", racer, "--cases", case,
               "--images", str(count), "--options", json.dumps(options)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: Told = json.loads(done.stdout.splitlines()[-1])
    if racer in RACERS:
        cost = f"{told['seconds']:.1f} s, {told['cpu']:.1f} s of processors"
        print(f"{case} {racer} {options or ''}: {count} images in {cost}", file=sys.stderr)
    return told


def race_alone(racer: str, case: str, count: int, options: Told) -> Told:
    """Do what `alone` asks for, in this process."""
    zoo, _, tta = case.partition(":")
    race = Race(zoo, tta, images_of(zoo, count))
    if racer == "tune":
        return dict(tune_floor(race))
    spent, labels = RACERS[racer](race, **options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": spent.seconds, "cpu": spent.cpu, "peak": peak, "labels": labels}


def tune_usual(case: str, count: int) -> Told:
    """Return the quickest batch size and worker count of the usual way, on a part of the images."""
    grid = [
        {"batch": batch, "workers": workers}
        for batch, workers in itertools.product((4, 8, 16, 32), (0, CORES))
    ]
    return min(
        grid, key=lambda options: alone("usual", case, max(count // 4, 8), **options)["seconds"]
    )


def measure(case: str, count: int, rounds: int, *, usual: bool = True) -> list[str]:
    """Race in turns, the usual ways too unless they are left out; return the rows of a table."""
    few, best = max(count // 3, 1), alone("tune", case, count)
    racers = {"floor": ("floor", count, {"best": best}), "ours": ("ours", count, {})}
    if usual:
        tuned = tune_usual(case, few)
        racers |= {
            f"usual, at its best: batches of {tuned['batch']}, {tuned['workers']} workers":
                ("usual", few, tuned),
            f"usual: batches of 32, {CORES} workers":
                ("usual", few, {"batch": 32, "workers": CORES}),
        }  # fmt: skip
    told: dict[str, list[Told]] = {title: [] for title in racers}
    for _ in range(rounds):
        for title, (racer, images, options) in racers.items():
            told[title].append(alone(racer, case, images, **options))
    check_labels(case, [each["labels"] for runs in told.values() for each in runs])
    rates = {
        title: images / statistics.median(each["seconds"] for each in told[title])
        for title, (_, images, _) in racers.items()
    }
    part = ", a third, as each takes eight forwards" if case.endswith(f":{EIGHTFOLD}") else ""
    lines = [f"\n## {case.replace(':', ', --tta ')}: {count} images{part}\n"]
    lines.append("| | images/s | ours, times it | processor seconds an image | peak, MiB |")
    lines.append("|---|---|---|---|---|")
    for title, (_, images, _) in racers.items():
        cpu = statistics.median(each["cpu"] for each in told[title]) / images
        peak = max(each["peak"] for each in told[title])
        beside = rates["ours"] / rates[title]
        lines.append(f"| {title} | {rates[title]:.1f} | {beside:.2f} | {cpu:.4f} | {peak:.0f} |")
    how = ", ".join(
        f"{name}: {b} an operator's batch, {n} at once" for name, (b, n) in best.items()
    )
    return [*lines, f"\nThe floor's best: {how}."]


def check_labels(case: str, answers: list[dict[str, int]]) -> None:
    """Check that all racers give the labels of the first, for the images that they had."""
    for labels in answers[1:]:
        odd = [name for name in labels if labels[name] != answers[0][name]]
        if odd:
            raise SystemExit(f"{case}: the racers give different labels for {odd[:5]}")


def commanded(count: int) -> Told:
    """Run the command over garments, its work in the process itself; tell its seconds and peak."""
    race = Race("fashion", "hflip", garments(count))
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "images.csv")
        listed.write_text("\n".join(["path", *map(str, race.images)]))
        command = [
            sys.executable, "-c", "from ensemble.cli import main; main()", "run",
            "--members", *map(str, race.members), "--images", str(listed), "--tta", race.tta,
            "--device", "cpu", "--out", f"{folder}/out", "--store", f"{folder}/store",
        ]  # fmt: skip
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env={**os.environ, "ENSEMBLE_SUPERVISE": "0"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return {"seconds": seconds, "peak": usage.ru_maxrss / 1024}


def slope(rounds: int) -> list[str]:
    """Return a table of commands over few and many images: their memory and their seconds."""
    case = "fashion:hflip"
    told = {count: [commanded(count) for _ in range(rounds)] for count in (SMALL, LARGE)}
    lines = [f"\n## Memory and slope: {case.replace(':', ', --tta ')}\n"]
    lines += ["| images | seconds | peak, MiB |", "|---|---|---|"]
    middle = {n: statistics.median(each["seconds"] for each in runs) for n, runs in told.items()}
    peak = {n: max(each["peak"] for each in runs) for n, runs in told.items()}
    lines += [f"| {n} | {middle[n]:.2f} | {peak[n]:.0f} |" for n in told]
    more = (middle[LARGE] - middle[SMALL]) / (LARGE - SMALL)
    fixed = middle[SMALL] - SMALL * more
    return [*lines, f"\nPeaks: {peak[LARGE] / peak[SMALL]:.2f} times. An image more costs "
            f"{1000 * more:.3f} ms; what every run costs is {fixed:.2f} s."]  # fmt: skip


def machine() -> str:
    """Name the processor, and how many of its cores this process may use."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    return f"{CORES} cores of {names[0] if names else platform.processor()}"


def main() -> None:
    """Measure in turns, print the tables and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=900, help="photographs; x10 garments")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=CASES, metavar="ZOO:TTA")
    parser.add_argument("--out", type=Path, default=BENCHMARKS / "results" / "run.md")
    parser.add_argument("--no-usual", action="store_true", help="only the floor and ours")
    parser.add_argument("--no-slope", action="store_true")
    parser.add_argument("--racer", choices=[*RACERS, "tune"], help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, default={}, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.racer:
        print(json.dumps(race_alone(args.racer, args.cases[0], args.images, args.options)))
        return
    today = datetime.datetime.now(datetime.UTC).date()
    lines = ["# A run beside its floor and the usual way\n",
             f"{machine()}, {today}, load {os.getloadavg()[0]:.1f} at the start; the median of "
             f"{args.rounds} rounds, in turns. The same labels from all."]  # fmt: skip
    for case in args.cases:
        count = count_of(case, args.images)
        lines += measure(case, count, args.rounds, usual=not args.no_usual)
    if not args.no_slope:
        lines += slope(args.rounds)
    text = "\n".join(lines) + "\n"
    print(text)
    args.out.write_text(text)


if __name__ == "__main__":
    main()
