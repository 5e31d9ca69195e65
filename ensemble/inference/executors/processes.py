"""Workers that are processes of this machine: one for each GPU, or for a share of the processors.

Two GPUs in one process make ONNX Runtime fault, so each has a process of its own, told by its
environment, before it imports anything, which GPU it may see.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe, wait
from typing import Final

from ensemble.errors import ProviderError, UsageError
from ensemble.inference.executors.places import Place
from ensemble.inference.executors.workers import Died, Event, Refused
from ensemble.inference.orders import ShardOrder, WorkerOrder
from ensemble.worker import CRASHES, WATCH

_CODE: Final = """
import os, sys
cores, sys.path[:] = {cores!r}, {path!r}
if cores and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, cores)
from ensemble.inference.executors.process_worker import main
main({pipe})
"""
"""A worker keeps to its processors before it imports what counts them."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A process, and the driver's end of its pipe."""

    process: subprocess.Popen[bytes]
    connection: Connection


class Processes:
    """A process for each place; see `Workers`."""

    def __init__(self, order: WorkerOrder, places: Sequence[Place]) -> None:
        """Know what workers start with, and where; none is started yet.

        Raises:
            UsageError: this system hands no pipes to processes.
        """
        if os.name != "posix":
            raise UsageError("several workers need Linux or macOS: leave --workers out, and name "
                             "one GPU as in --device cuda:0")  # fmt: skip
        self._order = order
        self._places = {place.name: place for place in places}
        self._running: dict[str, _Running] = {}
        self._events: deque[Event] = deque()

    @property
    def names(self) -> Sequence[str]:
        """What a person calls each worker: "cuda:1", or its number."""
        return list(self._places)

    def start(self, worker: str) -> None:
        """Begin to start a worker; that there is no room for a process is told by `wait`."""
        place = self._places[worker]
        ours, theirs = Pipe()
        try:
            with theirs:
                process = _spawned(place, theirs.fileno())
        except OSError as error:
            ours.close()
            why = ProviderError(
                f"no process can be started for it: {error.strerror or error}. End other "
                f"processes, or take fewer --workers"
            )
            self._events.append(Refused(worker, why))
            return
        self._running[worker] = _Running(process, ours)
        order = replace(self._order, device=place.device, threads=place.threads)
        _send(ours, (worker, order))

    def submit(self, worker: str, order: ShardOrder) -> None:
        """Give a worker a shard; one that has died is told of by `wait`."""
        if worker in self._running:
            _send(self._running[worker].connection, order)

    def end(self, worker: str) -> None:
        """End a worker's process."""
        if running := self._running.get(worker):
            running.process.kill()
            self._reap(worker)

    def wait(self) -> Sequence[Event]:
        """Wait until a worker says something or ends."""
        if not self._events:
            owners = {running.connection: name for name, running in self._running.items()}
            for connection in wait(list(owners)):
                if isinstance(connection, Connection):
                    self._events.append(self._heard(owners[connection], connection))
        found = list(self._events)
        self._events.clear()
        return found

    def close(self) -> None:
        """End all workers, whatever they are at."""
        for running in self._running.values():
            running.process.kill()
        for worker in list(self._running):
            self._reap(worker)

    def _heard(self, worker: str, connection: Connection) -> Event:
        try:
            event: Event = connection.recv()
        except (EOFError, OSError):  # also in the middle of what it was about to say
            return self._reap(worker)
        if isinstance(event, Refused):
            self._reap(worker)
        return event

    def _reap(self, worker: str) -> Died:
        """Close the pipe of a worker, which ends it where it lives, and tell how it ended."""
        running = self._running.pop(worker)
        running.connection.close()
        code = running.process.wait()
        return Died(worker, _cause(code), crashed=-code in CRASHES)


def _spawned(place: Place, pipe: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != WATCH}
    return subprocess.Popen(  # noqa: S603 - this very package
        [sys.executable, "-c", _CODE.format(cores=place.cores, path=sys.path, pipe=pipe)],
        env={**environment, **place.environment},
        pass_fds=[pipe],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _send(connection: Connection, message: object) -> None:
    """Send to a worker that may have died meanwhile, which its pipe will tell."""
    with suppress(BrokenPipeError, ConnectionError):
        connection.send(message)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    known = -code in list(signal.Signals)
    return signal.Signals(-code).name if known else f"signal {-code}"
