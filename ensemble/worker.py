"""Being watched: what a run tells the process that supervises it, and what it has been told.

On the command line a supervisor runs the work in another process, its worker. The worker says
which images it is decoding and which shard it is at; should it die, its successor is told which
images are suspects. A run in Python is watched by nobody.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final, TypeVarTuple

Values = TypeVarTuple("Values")

WATCH: Final = "ENSEMBLE_WATCH"
"""The environment variable by which a supervisor hands its worker a watch, as JSON."""

CRASHES: Final = frozenset(
    int(number)
    for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS", "SIGTRAP")
    if (number := getattr(signal, name, None)) is not None
)
"""Signals by which native code dies of its own fault."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who listens, and what to beware of.

    `pipe` is a descriptor that takes lines of JSON, -1 where nobody listens; `pid` the process
    that a person would stop, and `began` when it began, by `time.monotonic`. `suspects` are ids of
    images that were being decoded when a worker crashed; `poison` those of them that are known to
    crash the decoder.
    """

    pipe: int = -1
    pid: int = field(default_factory=os.getpid)
    began: float = field(default_factory=time.monotonic)
    suspects: frozenset[str] = frozenset()
    poison: frozenset[str] = frozenset()

    def tell(self, event: str, *values: str | int) -> None:
        """Tell the supervisor, in one write, so that the lines of several threads do not mix.

        One that is dead hears nothing: its worker is about to die too.
        """
        if self.pipe >= 0:
            with suppress(ConnectionError):
                os.write(self.pipe, json.dumps([event, *values]).encode() + b"\n")


def read_watch(environment: Mapping[str, str]) -> Watch:
    """Return the watch that a supervisor put into the environment, or one that nobody hears."""
    if WATCH not in environment:
        return Watch()
    told = json.loads(environment[WATCH])
    lists = (frozenset(told[name]) for name in ("suspects", "poison"))
    return Watch(told["pipe"], told["pid"], told["began"], *lists)


def crashes(function: Callable[[*Values], None], *values: *Values) -> bool:
    """Call a function in a process of its own; tell whether a crash signal ended it."""
    process = get_context("spawn").Process(target=function, args=values, daemon=True)
    process.start()
    process.join()
    return -(process.exitcode or 0) in CRASHES
