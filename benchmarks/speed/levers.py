"""All that makes a run quicker, one lever after another, beside the usual way.

    python benchmarks/speed/levers.py

Two cases under `--tta hflip`: every member of the fashion zoo (twenty where `make zoo` has made
them all) over the 10 000 test images of Fashion-MNIST, and the three imagenet_lite members over
JPEGs of about 500x375. Each way is a process of its own, from files to submission.csv, with an
empty store; imports are not counted.

- the usual way, as people write it and at its best: as in run.py, on a part of the photographs;
- ours: ONNX Runtime in float32, every member and view; its labels are those of the full ensemble;
- and then a lever more at a time: OpenVINO in bfloat16; int8 members, those of the photographs
  calibrated on other crops of them; an early exit certified for 0.5 % of the labels; ONNX Runtime
  again, where images end early and most of what is left is OpenVINO's start; and the policy at the
  knee, which `ensemble choose` finds for the fashion zoo in 10 000 training images,
  predicted out of fold by the members as they then are. The photographs have no such rows.

A lever that makes a run slower, or by which more than 1 % of the labels differ from those of the
full ensemble, is told, and the ways below go without it. Needs the zoos (make zoo), the extra
openvino and the Debian package dataset-fashion-mnist. Takes about half an hour on two cores. Writes
results/levers.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from int8 import crops
from racers import CORES, FASHION, LITE, Race, usual
from run import garments, machine, photographs

BENCHMARKS = Path(__file__).parents[1]
TTA = "hflip"
CASES = {"fashion": 10_000, "imagenet_lite": 1_500}
USUAL_SHARE = {"fashion": 1, "imagenet_lite": 15}
"""The usual way takes so many times fewer images: it scores three photographs in a second."""

TRAINING_ROWS = 10_000
CALIBRATION = 256
TUNING, LEAST = 16, 32
"""The best batch size and worker count of the usual way are found on so many times fewer images,
but on as many as the largest batch at least."""

MOST = 1.0
"""Percent of the labels that may differ from those of the full float32 ensemble."""

FULL = "ours: float32, every member and view"
LEVERS: dict[str, dict[str, str]] = {
    "OpenVINO, bfloat16": {"device": "openvino", "precision": "bf16"},
    "int8 members": {"members": "int8", "precision": "fp32"},
    "early exit, certified for 0.5 %": {"early_exit": "0.5%"},
    "ONNX Runtime again, which starts sooner": {"device": "cpu", "precision": "fp32"},
    "the policy at the knee": {"policy": "policy.json"},
}
"""What each lever changes of a run, the last ones on top of the first.

int8 members run as they are; what of them is float32 stays so."""

Told = dict[str, object]


def members_of(zoo: str, kind: str, work: Path) -> list[Path]:
    """Return the members of a zoo: as they are, or their int8 versions."""
    if kind == "int8":
        return sorted((work / "int8").glob("*.onnx"))
    return Race(zoo, TTA, [], every=True).members


def images_of(zoo: str, count: int) -> list[Path]:
    """Return images for a zoo, made where they are missing."""
    return garments(count) if zoo == "fashion" else photographs(count)


def alone(way: str, zoo: str, count: int, work: Path, **options: object) -> Told:
    """Take one way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--cases", zoo, "--work", str(work),
               "--count", str(count), "--options", json.dumps(options)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: Told = json.loads(done.stdout.splitlines()[-1])
    print(f"{zoo}, {way} {options}: {count} images in {told['seconds']:.2f} s", file=sys.stderr)
    return told


def take(way: str, zoo: str, count: int, work: Path, options: dict[str, object]) -> Told:
    """Do what `alone` asks for, in this process."""
    images = images_of(zoo, count)
    if way == "usual":
        spent, labels = usual(Race(zoo, TTA, images, every=True), **options)
        return {"seconds": spent.seconds, "labels": labels}
    kind = str(options.pop("members", "float32"))
    told = dict(options)
    if "policy" in told:
        told["policy"] = work / str(told["policy"])
    else:
        told["tta"] = TTA
    return scored(members_of(zoo, kind, work), images, told)


def scored(members: list[Path], images: list[Path], told: dict[str, object]) -> Told:
    """Time a run; tell its seconds, its labels by id, and its evaluations with an early exit."""
    from ensemble import run

    if told.get("device") == "openvino":
        import openvino  # noqa: F401 - as all imports, it is not counted
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        found = run(members, images, out=f"{folder}/out", store=f"{folder}/store", output="labels",
                    progress=None, **{"device": "cpu"} | told)  # fmt: skip
        seconds = time.perf_counter() - begun
    place = {name: number for number, name in enumerate(found.classes)}
    labels = {i: place[n] for i, n in zip(found.ids, found.labels, strict=True)}
    each = found.record.get("early_exit", {}).get("evaluations_per_image")
    return {"seconds": seconds, "labels": labels, "evaluations": each}


def make_int8(zoo: str, work: Path) -> None:
    """Make the int8 members of a zoo."""
    from ensemble import quantize_members

    if zoo == "fashion":
        calibrating = FASHION / "train"
    else:
        calibrating = work / "calibrate"
        crops(sorted((LITE / "photographs").glob("*.jpg")), calibrating, 2 * CALIBRATION)
    quantize_members(
        members_of(zoo, "float32", work), calibrating, work / "int8",
        calibration=CALIBRATION, max_disagreement=1, progress=None,
    )  # fmt: skip


def make_policy(work: Path, kept: dict[str, str]) -> None:
    """Write the policy at the knee for the fashion members, as they are by the levers kept."""
    import ensemble

    sys.path.insert(0, str(FASHION))
    from data import CLASSES, DATA, fold_of_rows, ids_of, read_split
    from measure import write_images

    pixels, labels = read_split(DATA, "train")
    rows = np.sort(np.random.default_rng(0).permutation(len(pixels))[:TRAINING_ROWS]).tolist()
    every, folds = ids_of("train", len(pixels)), fold_of_rows(labels)
    write_images(work / "train", pixels[rows], [every[row] for row in rows])
    lines = [f"{every[row]},{CLASSES[labels[row]]},{folds[row]}" for row in rows]
    table = work / "train.csv"
    table.write_text("\n".join(["id,label,fold", *lines]) + "\n")
    how = {key: kept[key] for key in ("device", "precision") if key in kept}
    views = ensemble.predict_oof(
        members_of("fashion", kept.get("members", "float32"), work), work / "train", table,
        tta="views(plain;hflip)", keep_views=True, store=work / "store", progress=None,
        **{"device": "cpu"} | how,
    )  # fmt: skip
    ensemble.choose(views, table, metric="accuracy", out=work / "policy.json", progress=None)


@dataclass(slots=True)
class Table:
    """The rows of one case as they are measured; `full` are the labels of the full ensemble."""

    zoo: str
    count: int
    truth: dict[str, int]
    rates: dict[str, float] = field(default_factory=dict)
    full: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def differ(self, told: Told) -> float:
        """Return the share of the labels that differ from the full ensemble's, in percent."""
        labels = told["labels"]
        return 100 * float(np.mean([labels[name] != self.full[name] for name in labels]))

    def add(self, title: str, rate: float, told: Told, before: float | None) -> None:
        """Add a row; `before` are the images/s of the way before it."""
        own = "" if before is None else f"{rate / before:.2f}"
        beside = [f"{rate / self.rates[name]:.1f}" for name in ("usual", "best")]
        made = told.get("evaluations")
        evaluations = "all" if made is None else f"{made:.1f}"
        right = [told["labels"][name] == label for name, label in self.truth.items()
                 if name in told["labels"]]  # fmt: skip
        accuracy = f"{100 * np.mean(right):.2f}" if right else ""
        seconds = f"{self.count / rate:.2f}"
        self.lines.append(
            f"| {title} | {seconds} | {own} | {' | '.join(beside)} | {evaluations} | "
            f"{self.differ(told):.2f} | {accuracy} |"
        )


def race_usual(table: Table, work: Path) -> dict[str, Told]:
    """Take the usual way, and the best of several batch sizes and worker counts."""
    count = table.count // USUAL_SHARE[table.zoo]
    grid = [{"batch": batch, "workers": workers} for batch in (4, 8, 16, 32)
            for workers in (0, CORES)]  # fmt: skip
    tuned = min(grid, key=lambda each: alone("usual", table.zoo, max(count // TUNING, LEAST), work,
                                             **each)["seconds"])  # fmt: skip
    ways = {"usual": {"batch": 32, "workers": CORES}, "best": tuned}
    found = {name: alone("usual", table.zoo, count, work, **way) for name, way in ways.items()}
    table.rates |= {name: count / told["seconds"] for name, told in found.items()}
    return found


def case(zoo: str, count: int, rounds: int) -> list[str]:
    """Take all ways of a case; return its table."""
    table = Table(zoo, count, truth_of(zoo))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        found = race_usual(table, work)
        kept: dict[str, str] = {}
        rate, told = measured(table, work, kept, rounds)
        table.full = told["labels"]
        table.add("the usual way: batches of 32, a worker a core", table.rates["usual"],
                  found["usual"], None)  # fmt: skip
        table.add("the usual way at its best", table.rates["best"], found["best"], None)
        table.add(FULL, rate, told, None)
        make_int8(zoo, work)
        for title, lever in LEVERS.items():
            if "policy" in lever and zoo != "fashion":
                continue
            if "policy" in lever:
                make_policy(work, kept)
            found_rate, told = measured(table, work, kept | lever, rounds)
            pays = found_rate > rate and table.differ(told) <= MOST
            table.add(f"+ {title}" if pays else f"with {title}: left out", found_rate, told, rate)
            if pays:
                kept, rate, last = kept | lever, found_rate, told
        differ = table.differ(last) if kept else 0.0
    members = len(members_of(zoo, "float32", work))
    times = [f"{rate / table.rates[name]:.1f}" for name in ("usual", "best")]
    return [
        f"\n## {zoo}: {members} members, `--tta {TTA}`, {count} images\n",
        "| | seconds | times the row before | times the usual way | times it at its best | "
        "evaluations an image | labels that differ, % | accuracy, % |",
        "|---|---|---|---|---|---|---|---|", *table.lines,
        f"\nTogether {times[0]} times the usual way, {times[1]} times at its best; {differ:.2f} % "
        f"of the labels differ from the full ensemble's.",
    ]  # fmt: skip


def measured(table: Table, work: Path, way: dict[str, str], rounds: int) -> tuple[float, Told]:
    """Return the images/s of a way, the median of some rounds, and what the first one gave."""
    runs = [alone("ours", table.zoo, table.count, work, **way) for _ in range(rounds)]
    return table.count / statistics.median(run["seconds"] for run in runs), runs[0]


def truth_of(zoo: str) -> dict[str, int]:
    """Return the true class of each image, where it is known."""
    if zoo != "fashion":
        return {}
    sys.path.insert(0, str(FASHION))
    from data import DATA, ids_of, read_split

    _, labels = read_split(DATA, "t10k")
    return dict(zip(ids_of("test", len(labels)), labels.tolist(), strict=True))


def main() -> None:
    """Take all ways of all cases; print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--count", type=int, help="images of a case; else 10 000 and 1 500")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=BENCHMARKS / "results" / "levers.md")
    parser.add_argument("--way", choices=["usual", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, default={}, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        told = take(asked.way, asked.cases[0], asked.count, asked.work, asked.options)
        print(json.dumps(told))
        return
    lines = ["# All levers", "",
             f"`python benchmarks/speed/levers.py` on {time.strftime('%Y-%m-%d')}, {machine()}; "
             f"{asked.rounds} runs a way. Each row has what the rows above it have, but for those "
             "left out; labels are held against the full ensemble's in float32."]  # fmt: skip
    for zoo in asked.cases:
        lines += case(zoo, asked.count or CASES[zoo], asked.rounds)
    text = "\n".join(lines) + "\n"
    print(text)
    asked.out.write_text(text)


if __name__ == "__main__":
    main()
