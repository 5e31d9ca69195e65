"""Supervising `run` and `oof`: the work is done by a worker process, which may die.

The worker is this command line again, told by the environment that it is watched. What it has
committed is in the store, so to try again is to start it again. A worker that crashes natively
leaves behind which images it was decoding: the next one tries those in processes of their own
and sets aside what crashes there.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

import click

from ensemble.progress_bar import FRESH_LINE
from ensemble.worker import CRASHES, WATCH, read_watch

UNSUPERVISED: Final = "ENSEMBLE_SUPERVISE"
"""Set it to 0 and the command does its work itself, for a debugger."""

STOPPED: Final = 130
_DEATHS: Final = 3
_SCARCE: Final = (
    "too many processes or files, or too little memory: end other processes, or set "
    "ENSEMBLE_SUPERVISE=0, which starts no worker"
)
_ORDERS: Final = (signal.SIGINT, signal.SIGTERM)
_RESUMED: Final = ("crops", "run", "oof")
"""The commands that commit what is done, shard by shard, and go on from there."""


class StopError(BaseException):
    """The supervisor asks the worker to stop."""


def is_supervised(args: Sequence[str]) -> bool:
    """Tell whether this command line is one whose work a worker does."""
    wanted = os.environ.get(UNSUPERVISED) != "0" and WATCH not in os.environ
    return os.name == "posix" and wanted and _command_of(args) in _RESUMED


def _command_of(args: Sequence[str]) -> str:
    return next((arg for arg in args if not arg.startswith("-")), "")


def resume_line(what: str, args: Sequence[str]) -> str:
    """Say what happened, and the command that goes on, or begins anew."""
    command = shlex.join(["ensemble", *args])
    if _command_of(args) not in _RESUMED:
        return f"{what}; the same command begins anew:\n  {command}"
    return f"{what}; what was committed is kept, and the same command goes on:\n  {command}"


def become_worker() -> None:
    """Take orders from the supervisor alone, and die with it.

    SIGINT and SIGTERM may reach the whole process group: the supervisor answers them, and sends
    SIGUSR1 when the worker is to stop.
    """
    for order in _ORDERS:
        signal.signal(order, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, _stop)
    pipe = read_watch(os.environ).pipe
    threading.Thread(target=_die_with, args=(pipe,), daemon=True).start()


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise StopError


def leave() -> NoReturn:
    """Exit a worker that was asked to stop, without waiting for its threads.

    The order may have come while a pool was starting a thread: the pool never knew of it, nobody
    ends it, and Python's own exit would wait for it for ever.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    read_watch(os.environ).tell("end")
    os._exit(STOPPED)


def _die_with(pipe: int) -> None:
    """Wait for the end of the pipe, which is an error where the supervisor left lines unread."""
    with suppress(OSError):
        while os.read(pipe, 1):
            pass
    os.kill(os.getpid(), signal.SIGKILL)


class Supervisor:
    """Starts workers until one of them ends by itself, and keeps what they said."""

    def __init__(self, args: Sequence[str]) -> None:
        """Supervise the command line that this process was started with; `args` name it."""
        self._args = args
        self._began = time.monotonic()
        self._worker: subprocess.Popen[bytes] | None = None
        self._order = 0
        self._deaths = 0
        self._ended = False
        self._place = "before its first shard"
        self._decoding: set[str] = set()
        self._suspects: set[str] = set()
        self._poison: set[str] = set()

    def run(self) -> int:
        """Run the command; return its exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _ORDERS)  # until there is a worker to tell
        for order in _ORDERS:
            signal.signal(order, self._ordered)
        while True:
            try:
                status = self._run_worker()
            except OSError as error:
                return self._fail(f"no worker can be started: {error.strerror or error}", _SCARCE)
            code = self._code_of(status)
            if code is not None:
                return code

    def _code_of(self, status: int) -> int | None:
        """Return the exit code of the command, or None where another worker is to go on.

        `status` is the exit code of the worker that ended, or minus the signal that ended it. One
        that did not tell of its end was ended by a library, as Ray does when its machine is gone.
        """
        by_itself = status >= 0 and self._ended
        if self._order and (status == STOPPED or not by_itself):
            say(resume_line("stopped", self._args))
            return 128 + self._order
        if by_itself:
            return status
        self._deaths += 1
        if self._deaths == _DEATHS:
            return self._give_up(status)
        if -status in CRASHES:  # one of these pictures may have done it: each is tried apart
            self._suspects |= self._decoding
        say(f"the worker was ended by {_name(status)} {self._place}: it is started again")
        return None

    def _run_worker(self) -> int:
        """Start a worker, listen until it ends, and return its exit code, or minus its signal."""
        self._decoding.clear()
        self._ended = False
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._worker = worker = self._started(theirs.fileno())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ORDERS)
            if self._order:
                worker.send_signal(signal.SIGUSR1)
            with ours.makefile("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        self._hear(*json.loads(line))
            return worker.wait()

    def _started(self, pipe: int) -> subprocess.Popen[bytes]:
        """Start a worker. An order that comes meanwhile waits until the worker is known here."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _ORDERS)
        return subprocess.Popen(  # noqa: S603 - this command line itself
            [sys.executable, *sys.orig_argv[1:]],
            env={**os.environ, WATCH: self._watch(pipe)},
            pass_fds=[pipe],
        )

    def _watch(self, pipe: int) -> str:
        lists = {"suspects": sorted(self._suspects), "poison": sorted(self._poison)}
        who = {"pipe": pipe, "pid": os.getpid(), "began": self._began}
        return json.dumps({**who, **lists})

    def _hear(self, event: str, *values: str) -> None:
        match event, values:
            case "next", (ended, begun):
                self._decoding.discard(ended)
                self._decoding.update([begun] if begun else [])
            case "score", (member, shard):
                self._place = f"at shard {shard}, member {member}"
            case "poison", (image,) if image not in self._poison:
                self._poison.add(image)
                self._deaths = 0
            case "commit", _:
                self._deaths = 0
            case "end", _:
                self._ended = True

    def _ordered(self, number: int, _frame: FrameType | None) -> None:
        if self._worker is None:  # never so: orders are blocked until there is one
            return
        if self._order:
            self._worker.kill()
            return
        self._order = number
        say("stopping after this batch; once more to quit at once")
        self._worker.send_signal(signal.SIGUSR1)

    def _give_up(self, status: int) -> int:
        cause = "the member or ONNX Runtime crashes natively: leave the member out, or export it "
        cause += "again"
        if status == -signal.SIGKILL:
            cause = "probably memory ran out: try a smaller --batch-size or --shard-size"
        elif status >= 0:
            cause = "of --executor ray, as where the cluster's process on this machine ends"
        what = f"the worker died {_DEATHS} times {self._place}, the last time of {_name(status)}"
        return self._fail(what, cause)

    def _fail(self, what: str, cause: str) -> int:
        error = click.style("error: ", fg="red", bold=True)
        say(error + resume_line(f"{what} ({cause})", self._args))
        return 1


def _name(status: int) -> str:
    """Name what ended a worker: a library, with that exit code, or minus the signal."""
    if status >= 0:
        return f"a library, with exit code {status}"
    known = -status in list(signal.Signals)
    return signal.Signals(-status).name if known else f"signal {-status}"


def say(text: str) -> None:
    """Print a line on stderr; on a terminal, in place of the worker's bar that may stand there."""
    if sys.stderr.isatty():
        sys.stderr.write(FRESH_LINE)
    click.echo(text, err=True)
