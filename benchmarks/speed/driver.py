"""Measure what handing out shards and committing them costs, with workers that answer at once.

    python benchmarks/speed/driver.py

A thousand shards, sixty-four workers that score nothing, and one death in ten shards: what is left
is the driver's own time, its memory, and the order of what it committed. Prints a table; and how
many bytes each image of a run takes in memory, however it is scored.
"""

import argparse
import random
import resource
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ensemble.images.reading import Hashed
from ensemble.images.sources import Source
from ensemble.inference.batches import Job
from ensemble.inference.executors.dispatch import Dispatcher
from ensemble.inference.executors.workers import Died, Event, Replied, Started
from ensemble.inference.loop import Engine
from ensemble.inference.orders import Proven, Scored, ShardOrder, ShardReply
from ensemble.inference.predict import Assignment, predict
from ensemble.predictions.store import open_partition
from ensemble.progress import Quiet
from ensemble.records import DecodePolicy, Geometry, Size
from ensemble.runtime.scorer import FakeScorer

CLASSES = 18


@dataclass
class Instant:
    """Workers that answer at once, in any order, and die of one shard in so many."""

    count: int
    deadly: float
    rng: random.Random
    events: deque[Event] = field(default_factory=deque)
    orders: list[tuple[str, ShardOrder]] = field(default_factory=list)
    outside: float = 0.0
    computed: float = 0.0
    deaths: int = 0

    @property
    def names(self) -> Sequence[str]:
        return [f"w{number}" for number in range(self.count)]

    def start(self, worker: str) -> None:
        proven = Proven("a", "FakeExecutionProvider", 32, fixed_batch=False, lanes=1)
        self.events.append(Started(worker, (proven,)))

    def submit(self, worker: str, order: ShardOrder) -> None:
        self.orders.append((worker, order))

    def end(self, worker: str) -> None:
        pass

    def wait(self) -> Sequence[Event]:
        began, computed = time.perf_counter(), time.thread_time()
        try:
            if self.events:
                return [self.events.popleft()]
            worker, order = self.orders.pop(self.rng.randrange(len(self.orders)))
            if self.rng.random() < self.deadly:
                self.orders = [each for each in self.orders if each[0] != worker]
                self.deaths += 1
                return [Died(worker, "chance")]
            return [Replied(worker, answered(order))]
        finally:
            self.outside += time.perf_counter() - began
            self.computed += time.thread_time() - computed

    def close(self) -> None:
        pass


def answered(order: ShardOrder) -> ShardReply:
    """What a worker gives: rows that depend on the images' numbers."""
    ids = tuple(image.source.id for image in order.images)
    level = np.array([int(name) for name in ids], np.float32)[:, None]
    rows = np.cos(level + np.arange(CLASSES, dtype=np.float32))
    scored = tuple(Scored(name, ids, {"label": rows}, ()) for name in order.members)
    return ShardReply(order.key, order.number, scored)


def measure(folder: Path, shards: int, rows: int, workers: int, deadly: float) -> dict[str, float]:
    """Have so many shards scored; return the driver's milliseconds a shard, and its memory."""
    images = [Hashed(Source(f"{n:08}", Path(f"/i/{n}")), "00", 1) for n in range(shards * rows)]
    heads = [{"name": "label", "classes": [f"c{k}" for k in range(CLASSES)]}]
    partition = open_partition(
        folder / "store", {"member": "a", "heads": heads}, images=len(images), shard_size=rows
    )
    geometry = Geometry(Size(8, 8), "squash", 1.0, "bilinear", 3, ())
    columns = {"label": CLASSES}
    job = Job("a", FakeScorer(columns), geometry, 32, False, columns)
    engine = Engine(images, DecodePolicy(), 1, Quiet())
    crowd = Instant(workers, deadly, random.Random(20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, computed = time.perf_counter(), time.process_time()
    predict(engine, [Assignment(job, partition)], dispatcher=Dispatcher(crowd, Quiet()))
    seconds, computed = time.perf_counter() - began, time.process_time() - computed
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    found = partition.read("label")
    right = list(found.ids) == [image.source.id for image in images]
    same = found.probs.tobytes() == answered(
        ShardOrder("", 0, tuple(images), ("a",), share=0)
    ).scored[0].heads["label"].tobytes()  # fmt: skip
    return {
        "wall ms a shard": 1000 * (seconds - crowd.outside) / shards,
        "CPU ms a shard": 1000 * (computed - crowd.computed) / shards,
        "more MB": more / 1024,
        "deaths": crowd.deaths,
        "in order": float(right and same),
    }


def bytes_an_image(count: int = 20_000) -> float:
    """What an image that is found and hashed takes in memory."""
    tracemalloc.start()
    held = [
        Hashed(Source(f"{n:08}", Path(f"/data/images/{n:08}.jpg")), f"{n:064x}", 100_000 + n)
        for n in range(count)
    ]
    found, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found / len(held)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[16, 128, 1024])
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--deadly", type=float, default=0.1)
    args = parser.parse_args()
    header = ["images a shard", "driver's ms a shard", "of which computing", "more MB", "deaths",
              "right order, right bits"]  # fmt: skip
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for rows in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), args.shards, rows, args.workers, args.deadly)
        print(
            f"| {rows} | {found['wall ms a shard']:.2f} | {found['CPU ms a shard']:.2f} | "
            f"{found['more MB']:.0f} | {found['deaths']:.0f} | "
            f"{'yes' if found['in order'] else 'NO'} |"
        )
        sys.stdout.flush()
    print(f"\n{bytes_an_image():.0f} bytes an image")


if __name__ == "__main__":
    main()
