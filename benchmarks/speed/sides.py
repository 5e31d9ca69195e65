"""Runs side by side: whole runs in turns, each in a process of its own, on the same two cores.

Each is `ensemble.run` from images to submission.csv with an empty store; the import of `ensemble`
and the start of Ray are not counted. All must write the same submission.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

CORES = 2
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run: what `ensemble.run` is given, and what the process finds in its environment."""

    title: str
    members: Sequence[str]
    images: str | Sequence[str]
    options: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def on_ray(self) -> bool:
        """Whether Ray is to run before it begins."""
        return self.options.get("executor") == "ray"


@dataclass(frozen=True, slots=True)
class Ran:
    """The seconds of a run, those in which Ray started, and the hash of its submission."""

    seconds: float
    start: float
    submission: str


class FailedError(Exception):
    """A process that was to be measured failed."""


Runs = dict[str, list[Ran]]


def alternate(ways: Sequence[Way], rounds: int) -> Runs:
    """Run all ways in turns, so many times."""
    runs: Runs = {way.title: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            runs[way.title].append(_apart(way))
            print(f"{way.title}: {runs[way.title][-1].seconds:.2f} s", file=sys.stderr)
    if len({each.submission for of_way in runs.values() for each in of_way}) > 1:
        raise FailedError(f"the submissions of {', '.join(runs)} differ")
    return runs


def ratio(runs: Runs, slow: str, quick: str) -> tuple[float, float]:
    """Return how many times as quick the second is as the first: of the least, of the medians."""
    return least(runs, slow) / least(runs, quick), middle(runs, slow) / middle(runs, quick)


def least(runs: Runs, title: str) -> float:
    """Return the least seconds of a way."""
    return min(each.seconds for each in runs[title])


def middle(runs: Runs, title: str) -> float:
    """Return the median seconds of a way."""
    return statistics.median(each.seconds for each in runs[title])


def _apart(way: Way) -> Ran:
    """Run in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__], input=json.dumps(asdict(way)), stdout=subprocess.PIPE,
        text=True, env={**os.environ, **QUIET, **way.environment}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise FailedError(f"{way.title} ended with {done.returncode}")
    return Ran(**json.loads(done.stdout.splitlines()[-1]))


def _run(way: Way) -> Ran:
    """Run in this process, on so many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    import ensemble

    start = _start_ray() if way.on_ray else 0.0
    with tempfile.TemporaryDirectory() as folder:
        out, store = f"{folder}/out", f"{folder}/store"
        began = time.perf_counter()
        ensemble.run(
            way.members, way.images, device="cpu", out=out, store=store, progress=None,
            **way.options,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        submission = Path(out, "submission.csv").read_bytes()
    return Ran(seconds, start, hashlib.sha256(submission).hexdigest())


def _start_ray() -> float:
    began = time.perf_counter()
    import ray

    ray.init(
        "local", num_cpus=CORES, include_dashboard=False, log_to_driver=False, logging_level="error"
    )
    return time.perf_counter() - began


def main() -> None:
    """Run the way that is on stdin as JSON, and print what it took as JSON."""
    print(json.dumps(asdict(_run(Way(**json.load(sys.stdin))))))


if __name__ == "__main__":
    main()
