"""A long run over tiny images: flat memory, no descriptor and no thread left behind.

    python benchmarks/campaigns/soak.py --count 50000 --seed 20

The command line runs one member of the fashion zoo over PNG files of 28x28 pixels, one in a
thousand of which is cut short, in a process of its own that is watched from outside: its resident
set, descriptors and threads. Growth is the largest value of the scoring's last quarter beside that
of its second.
"""

import argparse
import io
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns.trials import print_table

MEMBER = Path(__file__).parents[2] / "models_zoo" / "fashion" / "vgg-f0.onnx"
SHARD = 256
GROWTH = 24 * 2**20
"""Bytes that memory may grow from the second quarter to the last: what an allocator keeps."""


LIMIT = 400 * 2**20
"""Bytes that the process may hold at any moment."""

FILES = 2
"""Files that may be open at one moment and not at another."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process holds at one moment."""

    memory: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of a run: its exit code, rows, quarantined images, and samples.

    `samples` are of the scoring, `voting` of what follows: the vote and the files.
    """

    code: int
    rows: int
    quarantined: int
    cut: int
    samples: Sequence[Sample]
    voting: Sequence[Sample]
    seconds: float

    @property
    def flat(self) -> bool:
        """Whether the scoring's last quarter holds no more than its second; all below LIMIT."""
        second, last = quarter(self.samples, 1), quarter(self.samples, 3)
        peak = max(sample.memory for sample in [*self.samples, *self.voting])
        return (
            peak <= LIMIT
            and last.memory <= second.memory + GROWTH
            and last.descriptors <= second.descriptors + FILES
            and last.threads <= second.threads
        )

    @property
    def complete(self) -> bool:
        """Whether every image is predicted or quarantined, and the right ones are."""
        return (self.code, self.quarantined) == (3 if self.cut else 0, self.cut)


def write_images(folder: Path, count: int, seed: int) -> int:
    """Write the images; return how many were cut short."""
    folder.mkdir(parents=True)
    rng, cut = random.Random(seed), 0
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    files = [_png(array) for array in pixels]
    for number in range(count):
        data = files[number % len(files)]
        if rng.random() < 0.001:
            data, cut = data[: len(data) // 2], cut + 1
        (folder / f"img{number}.png").write_bytes(data)
    return cut


def soak(folder: Path, count: int, seed: int, *, pause: float = 0.2) -> Soaked:
    """Run the command over the images in a folder, and watch it."""
    cut = write_images(folder / "images", count, seed)
    command = [sys.executable, "-c", "from ensemble.cli import main; main()", "run",
               "--members", str(MEMBER), "--images", str(folder / "images"), "--device", "cpu",
               "--shard-size", str(SHARD), "--fill", "bag", "--out", str(folder / "out"),
               "--store", str(folder / "store")]  # fmt: skip
    alone = {**os.environ, "ENSEMBLE_SUPERVISE": "0"}  # the process that is watched does the work
    began, samples, voting = time.perf_counter(), [], []
    with subprocess.Popen(
        command, env=alone, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            found = sample_of(process.pid)  # before the parts, or it may be of the vote
            parts = len(list((folder / "store").rglob("part-*.json")))
            if found is None or not parts:
                pass
            elif parts < -(-count // SHARD):
                samples.append(found)
            else:
                voting.append(found)
            time.sleep(pause)
    lines = (folder / "out" / "submission.csv").read_text().splitlines()
    lost = folder / "out" / "quarantine.csv"
    quarantined = len(lost.read_text().splitlines()) - 1 if lost.exists() else 0
    return Soaked(process.returncode, len(lines) - 1, quarantined, cut, samples, voting,
                  time.perf_counter() - began)  # fmt: skip


def sample_of(pid: int) -> Sample | None:
    """Look at a process through /proc; None where it has ended."""
    root = Path("/proc") / str(pid)
    try:
        status = dict(
            line.split(":", 1) for line in (root / "status").read_text().splitlines() if ":" in line
        )
        memory = int(status["VmRSS"].split()[0]) * 1024
        return Sample(memory, len(list((root / "fd").iterdir())), int(status["Threads"]))
    except (OSError, KeyError):
        return None


def quarter(samples: Sequence[Sample], number: int) -> Sample:
    """Return the largest of each figure in a quarter of the run, numbered from 0."""
    start, end = (len(samples) * n // 4 for n in (number, number + 1))
    part = samples[start : max(end, start + 1)]
    return Sample(
        max(s.memory for s in part), max(s.descriptors for s in part), max(s.threads for s in part)
    )


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def main() -> None:
    """Print the figures of each quarter."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--count", type=int, default=50_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), asked.count, asked.seed)
    rows = [(n + 1, quarter(found.samples, n)) for n in range(4)]
    print_table(
        ["quarter of the scoring", "resident set", "descriptors", "threads"],
        [[n, f"{s.memory / 2**20:.0f} MiB", s.descriptors, s.threads] for n, s in rows],
    )
    peak = max((s.memory for s in found.voting), default=0)
    print(
        f"\nThe vote and the files: {peak / 2**20:.0f} MiB.\n"
        f"{asked.count} images, seed {asked.seed}, {found.seconds:.0f} s, "
        f"{len(found.samples)} samples; exit code {found.code}, {found.rows} rows, "
        f"{found.quarantined} quarantined of {found.cut} cut short; "
        f"flat: {found.flat}, complete: {found.complete}"
    )
    raise SystemExit(not (found.flat and found.complete and found.rows == asked.count))


if __name__ == "__main__":
    main()
