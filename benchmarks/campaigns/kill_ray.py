"""Kill what scores on a cluster of Ray, at random; print what became of the runs.

    python benchmarks/campaigns/kill_ray.py --kills 60 --seed 20

A run over the fashion zoo, 200 images in 26 parts, on two machines of one processor each. When the
store holds a random number of parts one of these is killed: an actor that is scoring a shard, a
machine with all its processes (another is added then), the command's driver, or its supervisor.
After all but the last the command must end well by itself; then it is started again. The
submission must be that of one process, byte for byte, no part that was committed may have been
written again, and no temporary file may be left.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns.kill import MAIN, commands, report, results, start
from campaigns.machines import Machines, children, cluster, kill

PARTS = 26
VICTIMS = ("actor", "machine", "driver", "supervisor")


def hit(machines: Machines, process: subprocess.Popen[bytes], victim: str) -> bool:
    """Kill one of what runs; tell whether it was there."""
    if process.poll() is not None:
        return False
    if victim == "supervisor":
        process.kill()
        return True
    if victim == "driver":
        found = children(process.pid)
        for pid in found[:1]:
            kill(pid)
        return bool(found)
    at_work = machines.at_work()
    if at_work and victim == "actor":
        kill(at_work[-1][1])
    elif at_work:
        machines.lose(at_work[-1][0])
        machines.have(2)
    return bool(at_work)


def committed(folder: Path) -> dict[str, int]:
    """When each part that there is was committed."""
    return {str(p): p.stat().st_mtime_ns for p in folder.glob("store/*/*/part-*.json")}


def trial(
    folder: Path, machines: Machines, victim: str, goal: int, expected: bytes
) -> tuple[str, int] | None:
    """Run, kill, and run again if need be; return the outcome and how many parts had been there.

    None, where the kill met nobody.
    """
    shutil.rmtree(folder / "store", ignore_errors=True)
    args = [*commands(folder)["run"], "--executor", "ray", "--ray-address", machines.address]
    process = start(MAIN, args)
    met = False
    while process.poll() is None and not met:
        time.sleep(0.005)
        parts = committed(folder)
        met = len(parts) >= goal and hit(machines, process, victim)
    code = process.wait()
    if not met:
        return None
    if victim == "supervisor":
        code = start(MAIN, args).wait()
    if code != 0:
        return "failed", len(parts)
    if results(folder, "run") != expected:
        return "wrong", len(parts)
    if any(committed(folder)[path] != at for path, at in parts.items()):
        return "computed again", len(parts)
    return "orphan" if list(folder.rglob(".tmp-*")) else "right", len(parts)


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20)
    flags = parser.parse_args()
    rng, began, kept = random.Random(flags.seed), time.time(), 0
    tally: Counter[tuple[str, str, str]] = Counter()
    with tempfile.TemporaryDirectory() as name, cluster() as machines:
        folder = Path(name)
        start(MAIN, commands(folder)["run"]).wait()
        expected = results(folder, "run")
        machines.have(2)
        while tally.total() < flags.kills:
            victim, goal = rng.choice(VICTIMS), rng.randrange(PARTS - 2)
            found = trial(folder, machines, victim, goal, expected)
            if found is not None:
                tally["run on Ray", victim, found[0]] += 1
                kept += found[1]
    report("random kills", tally)
    print(f"\n{kept} parts had been committed; seed {flags.seed}, {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
