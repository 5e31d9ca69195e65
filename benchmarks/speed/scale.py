"""The table of growth: several workers, machines of Ray, holders of images, and millions of rows.

    python benchmarks/speed/scale.py
    python benchmarks/speed/scale.py --only workers,sources
    python benchmarks/speed/scale.py --quick --out /tmp/scale.md

The rows, each of which can be measured alone:

- workers: two worker processes of one core each against one process of two cores: the imagenet_lite
  members, `--tta hflip`, 600 photographs.
- ray: two actors of one core each against one process of two cores, and against one actor. Ray has
  started before; what that takes is given beside, and what a second core gives without Ray.
- sources: 9 000 garments, `--tta flip`, out of a tar, a Parquet file and S3 (moto on loopback, on
  the same cores) against a folder. S3 holds them as an object each, and as a tar.
- scan, vote, tune, driver: scan.py, vote_memory.py, tune_million.py and driver.py, whose tables are
  read.

Runs that are compared alternate, and write the same submission; a ratio is of the least seconds,
and in brackets of the medians. `--quick` proves that it works, on a few images: its figures mean
nothing, and are not written. Writes results/scale.md, in which the rows that are not measured stay.
Needs the zoos (make zoo) and the Debian package dataset-fashion-mnist. Takes half an hour.
"""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from figure_table import Figure, cells_of, earlier, line_of, text_of
from holders import packed
from run import FASHION, LITE, garments, machine, photographs
from sides import CORES, FailedError, Runs, Way, alternate, least, middle, ratio

HERE = Path(__file__).parent
ONE, TWO = "one process", "two workers"
RAY_ONE, RAY_TWO = "one actor", "two actors"
THREAD = "one process of one thread"
FOLDER = "a folder"


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much is measured."""

    photographs: int = 600
    garments: int = 9_000
    rounds: int = 3
    files: int = 100_000
    rows: int = 1_000_000
    shards: int = 1_000


QUICK = Amounts(photographs=24, garments=200, rounds=1, files=2_000, rows=20_000, shards=50)


# ---- runs side by side


def workers(amounts: Amounts) -> list[Figure]:
    """Race two workers of a core each against one process."""
    ways = [_photographs(ONE, amounts), _photographs(TWO, amounts, workers=2)]
    runs = alternate(ways, amounts.rounds)
    return [_compared(runs, ONE, TWO, 0.95, _of_one_image(ways))]


def on_ray(amounts: Amounts) -> list[Figure]:
    """Race two actors of Ray against one process, and against one actor."""
    ways = [
        _photographs(ONE, amounts),
        _photographs(RAY_TWO, amounts, executor="ray", workers=2),
        _photographs(RAY_ONE, amounts, executor="ray", workers=1, threads=1),
        _photographs(THREAD, amounts, threads=1),
    ]
    runs = alternate(ways, amounts.rounds)
    started = min(each.start for each in runs[RAY_TWO])
    beside = f"{_of_one_image(ways[:2])}; Ray's start, not counted: {started:.1f} s"
    cores = f"; without Ray two cores give {ratio(runs, THREAD, ONE)[0]:.2f} times one"
    return [
        _compared(runs, ONE, RAY_TWO, 0.9, beside),
        _compared(runs, RAY_ONE, RAY_TWO, 1.8, cores),
    ]


def sources(amounts: Amounts) -> list[Figure]:
    """Race holders of the same images against a folder."""
    goals = {"a tar": 0.95, "Parquet": 0.95, "S3, an object an image": 0.7, "S3, a tar": 0.7}
    members = [str(FASHION / f"{family}-f0.onnx") for family in ("resnet", "vgg")]
    with (
        tempfile.TemporaryDirectory() as scratch,
        packed(garments(amounts.garments), Path(scratch)) as held,
    ):
        ways = [
            Way(title, members, place, {"tta": "flip"}, held.environment)
            for title, place in held.places.items()
        ]
        before = held.server_seconds()
        runs = alternate(ways, amounts.rounds)
        spent = (held.server_seconds() - before) / amounts.rounds
    moto = f"; moto took {spent:.1f} s of the same processors for both runs on S3"
    return [
        _compared(runs, FOLDER, title, goal, moto * title.startswith("S3"))
        for title, goal in goals.items()
    ]


def _photographs(title: str, amounts: Amounts, **options: object) -> Way:
    members = [str(path) for path in sorted((LITE / "members").glob("*.onnx"))]
    images = [str(path) for path in photographs(amounts.photographs)]
    return Way(title, members, images, {"tta": "hflip", **options})


def _of_one_image(ways: Sequence[Way]) -> str:
    """Tell what the ways take for one image: what every run costs."""
    runs = alternate([replace(way, images=way.images[:1]) for way in ways], 1)
    return f"; of one image {' and '.join(f'{least(runs, title):.1f}' for title in runs)} s"


def _compared(runs: Runs, slow: str, quick: str, goal: float, more: str = "") -> Figure:
    times, times_middle = ratio(runs, slow, quick)
    pair = (f"{way} {least(runs, way):.2f} ({middle(runs, way):.2f}) s" for way in (slow, quick))
    return Figure(f"{quick}: images/s, times those of {slow}", goal, times, "x", times_middle,
                  "; ".join(pair) + more, at_least=True)  # fmt: skip


# ---- the tables of other scripts


def scan(amounts: Amounts) -> list[Figure]:
    """Scan many files whose bytes are known."""
    rows = {row["scan"]: row for row in _table("scan.py", "--files", amounts.files)}
    second, first = rows["second"], rows["first"]
    seconds = f"{second['of processors']} s of processors; the first: {first['seconds']} s"
    what = f"second run over {amounts.files} files"
    return [
        Figure(f"{what}: scan", 5, float(second["seconds"]), " s", beside=seconds),
        Figure(f"{what}: files read", 0, float(second["files read"])),
    ]


def vote(amounts: Amounts) -> list[Figure]:
    """Vote over many rows."""
    return [
        figure
        for row in _table("vote_memory.py", "--rows", amounts.rows)
        for figure in _costs(f"vote of {amounts.rows} rows, {row['predictions']}", row,
                             seconds=20, peak=1e9 / 2**30)
    ]  # fmt: skip


def tune(amounts: Amounts) -> list[Figure]:
    """Tune weights on many rows."""
    goals = {"log_loss": 90, "f1_macro": 180}
    return [
        figure
        for row in _table("tune_million.py", "--rows", amounts.rows)
        for figure in _costs(f"tune-weights on {amounts.rows} rows, {row['metric']}", row,
                             seconds=goals[row["metric"]], peak=4e9 / 2**30)
    ]  # fmt: skip


def driver(amounts: Amounts) -> list[Figure]:
    """Hand out shards to 64 workers that answer at once."""
    return [
        Figure(f"driver's own time a shard of {row['images a shard']} images, 64 workers", 5,
               float(row["driver's ms a shard"]), " ms",
               beside=f"{amounts.shards} shards; {row['more MB']} MB more; {row['deaths']} deaths; "
                      f"right order and bits: {row['right order, right bits']}")
        for row in _table("driver.py", "--shards", amounts.shards)
    ]  # fmt: skip


def _costs(what: str, row: dict[str, str], *, seconds: float, peak: float) -> list[Figure]:
    return [
        Figure(what, seconds, float(row["seconds"]), " s"),
        Figure(f"{what}: peak", peak, float(row["peak, GiB"]), " GiB"),
    ]


def _table(script: str, *options: object) -> list[dict[str, str]]:
    """Run another script and return the rows of the table that it prints, by their titles."""
    command = [sys.executable, HERE / script, *map(str, options)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise FailedError(f"{script} ended with {done.returncode}")
    print(done.stdout, file=sys.stderr)
    title, _, *rows = (cells_of(line) for line in done.stdout.splitlines() if line[:1] == "|")
    return [dict(zip(title, row, strict=True)) for row in rows]


# ---- the table


ABOUT = """# How it grows

`python benchmarks/speed/scale.py` on {machine}, of which runs side by side have {cores}. A ratio is
of the least seconds, and in brackets of the medians; the load is that of the machine before a row
was measured.
"""
ROWS: dict[str, Callable[[Amounts], list[Figure]]] = {
    "workers": workers, "ray": on_ray, "sources": sources, "scan": scan, "vote": vote,
    "tune": tune, "driver": driver,
}  # fmt: skip


def measured(row: str, amounts: Amounts) -> list[str]:
    """Measure a row; return its lines."""
    load, today = os.getloadavg()[0], datetime.datetime.now(datetime.UTC).date()
    return [
        line_of([row, *figure.cells(), f"{today}, {load:.1f}"]) for figure in ROWS[row](amounts)
    ]


def rows_of(text: str) -> list[str]:
    """Return the rows that `--only` names."""
    if odd := set(text.split(",")) - {*ROWS}:
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(odd))}: expected {', '.join(ROWS)}")
    return text.split(",")


def main() -> None:
    """Measure rows, print the table and write it down after each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", type=rows_of, default=[*ROWS], help=",".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="prove that it works, no more")
    parser.add_argument("--out", type=Path, help="default: results/scale.md, or with --quick none")
    args = parser.parse_args()
    out = args.out or (None if args.quick else HERE.parent / "results" / "scale.md")
    head = ABOUT.format(machine=machine(), cores=CORES)
    lines, failed = earlier(out) if out else {}, []
    for row in args.only:
        try:
            lines[row] = measured(row, QUICK if args.quick else Amounts())
        except FailedError as error:
            failed.append(f"{row}: {error}")
        if out:
            out.write_text(text_of(head, lines, ROWS))
    print(text_of(head, lines, ROWS))
    if failed:
        raise SystemExit("; ".join(failed))


if __name__ == "__main__":
    main()
