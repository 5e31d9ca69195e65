"""A vote over a million rows: its seconds, and the most memory that it takes.

    python benchmarks/speed/vote_memory.py

Six families of 18 classes each, as Parquet files from elsewhere and as the partitions of a store,
are voted on by `ensemble vote` in a process of its own, and probabilities are written; of the files
labels alone, too, which is what is written where nobody asks. The vote should take 20 s and 1 GB at
most, where nothing else runs; see docs/performance.md. With
`--shuffled` the rows of each file but the first have an order of their own. `--json` writes one
JSON object in place of a table.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Probs
from ensemble.members.card import Head
from ensemble.predictions.run_record import RecordedMember, RunRecord, to_json
from ensemble.predictions.store import open_partition
from ensemble.recipe.settings import Settings, settings_of
from ensemble.records import MemberId

FAMILIES, CLASSES = tuple("abcdef"), tuple(f"c{number:02d}" for number in range(18))
SHARD, BLOCK = 1024, 1 << 16
HEAD = Head("label", "probs", "classification", "none", CLASSES)
VOTE = [sys.executable, "-c", "from ensemble.cli import main; main()", "vote"]
WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def made(rows: int, seed: int) -> Iterator[tuple[list[str], Probs]]:
    """Yield ids and probabilities of a family, float32 (n, C), so many at a time."""
    random = np.random.default_rng(seed)
    for start in range(0, rows, BLOCK):
        stop = min(start + BLOCK, rows)
        probs = random.random((stop - start, len(CLASSES)), np.float32) + np.float32(0.01)
        ids = [f"img{number:07d}.jpg" for number in range(start, stop)]
        yield ids, probs / probs.sum(1, keepdims=True)


def make_files(folder: Path, rows: int, *, shuffled: bool) -> list[str]:
    """Write a Parquet for each family, a column a class, and return how to vote on them."""
    for seed, family in enumerate(FAMILIES):
        blocks = list(made(rows, seed))
        probs = np.concatenate([block for _, block in blocks])
        columns = {name: probs[:, number] for number, name in enumerate(CLASSES)}
        table = pa.table({"id": [name for ids, _ in blocks for name in ids], **columns})
        if shuffled and seed:
            table = table.take(pa.array(np.random.default_rng(seed).permutation(rows)))
        pq.write_table(table, folder / f"{family}.parquet")
    return ["--predictions", *(str(folder / f"{family}.parquet") for family in FAMILIES)]


def make_store(folder: Path, rows: int) -> list[str]:
    """Write the store and run.json of a run of a member a family; return how to vote again."""
    members = [store_member(folder / "store", rows, seed) for seed in range(len(FAMILIES))]
    settings = settings_of(Settings(("members",), ("images",), store=folder / "store"))
    counts = {"inputs": rows, "predicted": rows, "quarantined": 0}
    record = RunRecord(settings, HEAD.name, CLASSES, tuple(members), counts, {}, {})
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text(json.dumps(to_json(record)))
    return [str(folder / "run"), "--store", str(folder / "store")]


def store_member(store: Path, rows: int, seed: int) -> RecordedMember:
    """Commit the shards of a member."""
    member = MemberId(f"{FAMILIES[seed]}-f0", FAMILIES[seed], 0, f"{seed:064x}")
    told = {"member": member.sha256, "heads": [HEAD.record()], "views": [[]], "merge": "mean"}
    partition = open_partition(store, told, images=rows, shard_size=SHARD)
    shard = 0
    for ids, probs in made(rows, seed):
        for start in range(0, len(ids), SHARD):
            at = slice(start, start + SHARD)
            partition.commit(shard, ids[at], {HEAD.name: probs[at]}, [])
            shard += 1
    partition.finish()
    return RecordedMember(member, partition.key)


def measure(asked: Sequence[str], out: Path, output: str = "probs") -> dict[str, float]:
    """Return the seconds of a vote, and the most memory that it held."""
    command = [*VOTE, *asked, "--output", output, "--out", str(out)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    watched = [sys.executable, "-c", WATCHED, *command]
    told = subprocess.run(watched, check=False, env=environment, capture_output=True, text=True)
    if told.returncode:
        raise SystemExit(told.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    a_gigabyte = 1 << 30 if sys.platform == "darwin" else 1 << 20
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "of processors": round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2
        ),
        "peak, GiB": round(int(told.stdout.splitlines()[-1]) / a_gigabyte, 3),
    }


def main() -> None:
    """Print what a vote takes of files and of a store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_files(folder, args.rows, shuffled=args.shuffled)
        found["files"] = measure(files, folder / "of_files")
        found["files, labels alone"] = measure(files, folder / "labels", "labels")
        found["store"] = measure(make_store(folder, args.rows), folder / "of_store")
    if args.json:
        print(json.dumps({"rows": args.rows, "shuffled": args.shuffled, **found}))
        return
    print(f"{args.rows} rows, {len(CLASSES)} classes, {len(FAMILIES)} families\n")
    print("| predictions | seconds | of processors | peak, GiB |\n|---|---|---|---|")
    for kind, told in found.items():
        print(f"| {kind} | " + " | ".join(str(number) for number in told.values()) + " |")


if __name__ == "__main__":
    main()
