"""Kill runs at random, and break each step of the commit; print what became of them.

    python benchmarks/campaigns/kill.py --kills 300 --seed 20 --stride 0
    python benchmarks/campaigns/kill.py --kills 0
    python benchmarks/campaigns/kill.py --only workers --kills 100 --stride 0

Random: kill -9 of the supervisor or its worker, over `run`, `oof` and an early exit (`exit`: a run
with `--early-exit lossless`), when the store holds a random number of parts; only kills that met a
living process count. Three in ten go on with the store that the one before left: they kill a
resume. `workers` is `run --workers 2`, held against one process; there one of the two that score is
killed too (`scorer`), of which the command must end well by itself. Steps: at each call of the
commit recipe, a kill, an exception and a full disk. Then the same command is started again: its
results must be those of an unbroken run, byte for byte, and no temporary file may be left.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

ZOO = Path(__file__).parents[2] / "models_zoo" / "fashion"
STEPS = """
import os, signal, pathlib, ensemble.files.atomic as files
at, kind, seen = int(os.environ["KILL_AT"]), os.environ["KILL_KIND"], []
def step(call):
    def broken(*args, **more):
        seen.append(1)
        if len(seen) - 1 == at:
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(28, "No space left on device") if kind == "full" else KeyError("broken")
        return call(*args, **more)
    return broken
files.tempfile.mkstemp = step(files.tempfile.mkstemp)
files._fill, files._sync = step(files._fill), step(files._sync)
pathlib.Path.replace = step(pathlib.Path.replace)
import atexit
"""
MAIN = "from ensemble.cli import main; main()"
_OUT = {"run": "out", "exit": "exit", "workers": "workers"}


def commands(folder: Path, shard: int = 16) -> dict[str, list[str]]:
    """The commands, by name; 26 parts are written, or with shards of 128 images 4.

    An early exit writes half as many, for all members together.
    """
    pair = [str(ZOO / "resnet-f0.onnx"), str(ZOO / "vgg-f0.onnx")]
    more = ["--device", "cpu", "--shard-size", str(shard), "--store", str(folder / "store")]
    run = ["run", "--members", *pair, "--images", str(ZOO / "images"), "--output", "probs",
           "--out", str(folder / "out"), *more]  # fmt: skip
    folds = folder / "folds.csv"
    folds.write_text("id,fold\n" + "".join(f"{p.stem},0\n" for p in (ZOO / "images").glob("*")))
    oof = ["oof", "--members", *pair, "--images", str(ZOO / "images"), "--folds", str(folds),
           "--out", str(folder / "oof.parquet"), *more]  # fmt: skip
    early = ["run", "--members", *pair, "--images", str(ZOO / "images"), "--output", "labels",
             "--tta", "hflip", "--early-exit", "lossless", "--out", str(folder / "exit"),
             *more]  # fmt: skip
    workers = [*run, "--workers", "2"]
    workers[workers.index("--out") + 1] = str(folder / "workers")
    return {"run": run, "oof": oof, "exit": early, "workers": workers}


def results(folder: Path, name: str) -> bytes:
    """What a command wrote: the bytes of the submission, or the rows of the OOF file."""
    if name != "oof":
        return (folder / _OUT[name] / "submission.csv").read_bytes()
    with pq.ParquetFile(folder / "oof.parquet") as file:
        return repr(file.read().to_pydict()).encode()


def start(script: str, args: list[str], **environment: str) -> subprocess.Popen[bytes]:
    """Start a command line."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(
        [sys.executable, "-c", script, *args], env={**os.environ, **environment}, **quiet
    )


def verdict(folder: Path, name: str, args: list[str], expected: bytes) -> str:
    """Start a command again, and say whether all is as it should be."""
    if start(MAIN, args).wait() != 0:
        return "failed"
    if results(folder, name) != expected:
        return "wrong"
    return "orphan" if list(folder.rglob(".tmp-*")) else "right"


def random_kills(folder: Path, kills: int, rng: random.Random, expected: dict[str, bytes]) -> None:
    """Kill at random moments, of the supervisor or its worker; print the tally."""
    tally: Counter[tuple[str, str, str]] = Counter()
    while tally.total() < kills:
        name = rng.choice(list(expected))
        victim = rng.choice(["supervisor", "worker", *["scorer"] * (name == "workers")])
        resumed = rng.random() < 0.3
        if not resumed:
            shutil.rmtree(folder / "store", ignore_errors=True)
        args = commands(folder)[name]
        code = killed(folder, args, victim, 13 if name == "exit" else 26, rng)
        if code is None:
            continue
        title = f"{name}, resumed" if resumed else name
        failed = victim == "scorer" and code != 0
        outcome = "failed" if failed else verdict(folder, name, args, expected[name])
        tally[title, victim, outcome] += 1
    report("random kills", tally)


def killed(
    folder: Path, args: list[str], victim: str, parts: int, rng: random.Random
) -> int | None:
    """Start a command, and kill a process of it at some part.

    Returns its exit code, None where the kill met nobody alive.
    """
    goal = rng.randrange(parts)
    process = start(MAIN, args)
    while process.poll() is None and len(list(folder.glob("store/*/*/part-*.json"))) < goal:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.02 if goal else 1.0))
    alive = [process.pid] if process.poll() is None else []
    for _ in range(["supervisor", "worker", "scorer"].index(victim)):
        alive = [child for pid in alive for child in children(pid)]
    for pid in rng.sample(alive, min(len(alive), 1)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            code = process.wait()
            return code if victim != "supervisor" or code == -signal.SIGKILL else None
    process.wait()
    return None


def children(pid: int) -> list[int]:
    """The processes that a process has started; none where it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []


def broken_steps(folder: Path, stride: int, expected: dict[str, bytes]) -> None:
    """Break each step of the recipe in each way; print the tally."""
    tally: Counter[tuple[str, str, str]] = Counter()
    for name, whole in expected.items():
        args = commands(folder, 128)[name]
        for kind in ("kill", "raise", "full"):
            for at in range(0, 10_000, stride):
                shutil.rmtree(folder / "store", ignore_errors=True)
                for orphan in folder.rglob(".tmp-*"):
                    orphan.unlink()
                told = {"KILL_AT": str(at), "KILL_KIND": kind}
                code = start(STEPS + MAIN, args, ENSEMBLE_SUPERVISE="0", **told).wait()
                if code == 0:
                    break
                tally[name, kind, verdict(folder, name, args, whole)] += 1
    report("broken steps", tally)


def report(title: str, tally: Counter[tuple[str, str, str]]) -> None:
    """Print a table."""
    print(f"\n| {title} | how | outcome | times |\n|---|---|---|---|")
    for (name, how, outcome), times in sorted(tally.items()):
        print(f"| {name} | {how} | {outcome} | {times} |")


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stride", type=int, default=1, help="Break every so many steps only.")
    parser.add_argument("--seed", type=int, default=20)
    names = ["run", "oof", "exit"]
    parser.add_argument("--only", choices=[*names, "workers"], nargs=1, help="Only this command.")
    flags = parser.parse_args()
    began = time.time()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = {}
        for command in flags.only or names:
            whole = "run" if command == "workers" else command
            start(MAIN, commands(folder)[whole]).wait()
            expected[command] = results(folder, whole)
        if flags.kills:
            random_kills(folder, flags.kills, random.Random(flags.seed), expected)
        if flags.stride:
            broken_steps(folder, flags.stride, expected)
    print(f"\nseed {flags.seed}, {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
