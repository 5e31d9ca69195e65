"""A cluster of Ray on this machine: machines of one processor each, whose actors can be met.

Used by `kill_ray.py` and by the tests. What a machine is made of are Ray's own processes; to lose
one is to kill them.
"""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from ray.cluster_utils import Cluster

Made = TypeVar("Made")

FAULTS: Final = """
import sys
if any("default_worker" in each or "multiprocessing.spawn" in each for each in sys.orig_argv):
    import os, pathlib, time
    from ensemble.runtime.session import OnnxScorer
    score, here = OnnxScorer.score, pathlib.Path(__file__).parent
    def slow(self, images):
        if (here / "slow").exists():
            time.sleep(0.3)
        return score(self, images)
    OnnxScorer.score = slow
    import ensemble.images.decode as decode
    opened = decode.Image.open
    def poisoned(stream, **more):
        if b"POISON" in stream.getvalue():
            os.abort()
        return opened(stream, **more)
    decode.Image.open = poisoned
    if "BLIND" in os.environ:
        from ensemble.errors import ImageError
        import ensemble.inference.executors.remote as remote
        def blind(image):
            raise ImageError("read", "unreadable", "No such file or directory")
        remote.read = blind
"""
"""What actors run first, and the processes in which they try images.

Where a file `slow` lies, batches take longer. An image with POISON in its bytes crashes the
decoder. A machine that is added while the variable BLIND is set reads no image.
"""

_QUICK: Final = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 5,
}
"""By Ray's own settings the loss of a machine shows after half a minute."""


@dataclass
class Machines:
    """A cluster whose head scores nothing; `machines` can be added and lost."""

    cluster: Cluster
    faults: Path
    machines: list[object] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What `--ray-address` takes."""
        return str(self.cluster.address)

    def have(self, count: int) -> None:
        """Add machines, or end some, until there are so many."""
        while len(self.machines) > count:
            self.cluster.remove_node(self.machines.pop())
        while len(self.machines) < count:
            self.machines.append(
                patiently(lambda: self.cluster.add_node(num_cpus=1, object_store_memory=80 << 20))
            )
        self.cluster.wait_for_nodes()

    def lose(self, number: int) -> None:
        """Lose a machine without a word, as by a cut cable."""
        self.cluster.remove_node(self.machines.pop(number), allow_graceful=False)

    def slow(self, slow: bool) -> None:
        """Have batches take 0.3 s longer, or not."""
        flag = self.faults / "slow"
        flag.touch() if slow else flag.unlink(missing_ok=True)

    def at_work(self) -> list[tuple[int, int]]:
        """Return the machine's number and the process of each actor that scores a shard now."""
        found = []
        for number, machine in enumerate(self.machines):
            (raylet,) = machine.all_processes["raylet"]  # type: ignore[attr-defined]
            found += [(number, pid) for pid in children(raylet.process.pid) if scores(pid)]
        return found


def patiently(start: Callable[[], Made], tries: int = 4) -> Made:
    """Start what Ray gives up after half a minute where the processors are busy."""
    for _ in range(tries - 1):
        with contextlib.suppress(Exception):  # Ray raises no other
            return start()
    return start()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    with contextlib.suppress(OSError):
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def scores(pid: int) -> bool:
    """Tell whether a process is an actor that is scoring a shard: Ray says so in its title."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Actor.work")
    return False


def kill(pid: int) -> None:
    """Kill a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def cluster(faults: str = FAULTS) -> Iterator[Machines]:
    """Start a cluster without a machine that scores, and end it with the block.

    `faults` is code that each of its processes runs first, beside a folder's file `slow`.
    """
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory() as name:
        Path(name, "sitecustomize.py").write_text(faults)
        os.environ["PYTHONPATH"] = os.pathsep.join([name, *filter(None, sys.path)])
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20,
                "_system_config": _QUICK}  # fmt: skip
        made = patiently(lambda: Cluster(initialize_head=True, connect=False, head_node_args=head))
        try:
            yield Machines(made, Path(name))
        finally:
            made.shutdown()
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
