"""Worker processes: each sees its own device, its end is told, and none outlives its driver."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from toys import MakeMember

from ensemble.errors import ProviderError, UsageError
from ensemble.images.reading import Hashed
from ensemble.inference.executors import processes
from ensemble.inference.executors.places import Place
from ensemble.inference.executors.processes import Processes
from ensemble.inference.executors.workers import Died, Event, Refused, Replied, Started
from ensemble.inference.orders import MemberOrder, ShardOrder, WorkerOrder
from ensemble.members.member import open_member
from ensemble.records import DecodePolicy
from ensemble.views.policy import preset

CORE = (min(os.sched_getaffinity(0)),)
ECHO = """
told = [os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("ENSEMBLE_WATCH"),
        sorted(os.sched_getaffinity(0)), "onnxruntime" in sys.modules]
from multiprocessing.connection import Connection
from ensemble.inference.executors.workers import Warned
pipe = Connection({pipe})
name, order = pipe.recv()
pipe.send(Warned(name, repr(told)))
pipe.recv()
"""
"""A worker that says what it sees, and waits."""


def order_of(path: Path) -> WorkerOrder:
    sha256 = open_member(path).sha256
    member = MemberOrder("ant-f0", path, sha256, preset("none"), "mean", "fp32", 4)
    return WorkerOrder((member,), DecodePolicy(), "cpu", 1)


NOTHING = WorkerOrder((), DecodePolicy(), "cpu", 1)


@contextmanager
def running(order: WorkerOrder, *places: Place) -> Iterator[Processes]:
    found = Processes(order, places)
    try:
        for name in found.names:
            found.start(name)
        yield found
    finally:
        found.close()


def heard(workers: Processes, count: int = 1) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        events += workers.wait()
    return events


def test_a_process_starts_its_members_and_answers(
    make_member: MakeMember, hashed: list[Hashed]
) -> None:
    with running(order_of(make_member("ant-f0")), Place("1", "cpu", 1, CORE)) as workers:
        (started,) = heard(workers)
        assert isinstance(started, Started)
        assert [p.lanes for p in started.proven] == [1]
        workers.submit("1", ShardOrder("key", 0, tuple(hashed), ("ant-f0",), share=11))
        reply = heard(workers, 4)[-1]
        assert isinstance(reply, Replied)
        assert len(reply.reply.scored[0].ids) == len(hashed) - 1


def test_what_ended_a_process_is_told_and_another_takes_its_place(
    make_member: MakeMember, hashed: list[Hashed]
) -> None:
    with running(order_of(make_member("ant-f0")), Place("1", "cpu", 1, CORE)) as workers:
        heard(workers)
        workers._running["1"].process.send_signal(signal.SIGSEGV)
        assert heard(workers) == [Died("1", "SIGSEGV", crashed=True)]
        workers.submit("1", ShardOrder("key", 0, tuple(hashed), ("ant-f0",), share=11))
        workers.start("1")
        assert isinstance(heard(workers)[0], Started)


@pytest.mark.parametrize(
    ("code", "cause"), [("os._exit(3)", "exit code 3"), ("os.kill(os.getpid(), 9)", "SIGKILL")]
)
def test_an_end_of_a_process_has_its_cause(
    monkeypatch: pytest.MonkeyPatch, code: str, cause: str
) -> None:
    monkeypatch.setattr(processes, "_CODE", f"import os\n{code}")
    with running(NOTHING, Place("1", "cpu", 1)) as workers:
        assert heard(workers) == [Died("1", cause)]


def test_a_process_sees_its_own_gpu_and_processors_before_it_imports_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = "\n".join(processes._CODE.splitlines()[:5])
    monkeypatch.setattr(processes, "_CODE", before + ECHO)
    monkeypatch.setenv("ENSEMBLE_WATCH", "{}")
    gpus = [
        Place(f"cuda:{n}", "cuda", 1, environment={"CUDA_VISIBLE_DEVICES": f"{n}"}) for n in (0, 1)
    ]
    with running(NOTHING, *gpus, Place("3", "cpu", 1, CORE)) as workers:
        told = {event.worker: event.message for event in heard(workers, 3)}  # type: ignore[union-attr]
    every = sorted(os.sched_getaffinity(0))
    assert told == {"cuda:0": f"['0', None, {every}, False]",
                    "cuda:1": f"['1', None, {every}, False]",
                    "3": f"[None, None, {list(CORE)}, False]"}  # fmt: skip


def test_a_broken_gpu_is_told_by_its_number_and_the_other_works(make_member: MakeMember) -> None:
    places = (Place("cuda:0", "cuda", 1), Place("cuda:1", "cpu", 1))
    with running(order_of(make_member("ant-f0")), *places) as workers:
        events = {event.worker: event for event in heard(workers, 2)}
        refused = events["cuda:0"]
        assert isinstance(refused, Refused)
        assert isinstance(refused.error, ProviderError)
        assert isinstance(events["cuda:1"], Started)


def test_where_no_process_can_be_started_the_worker_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def poor(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(processes.subprocess, "Popen", poor)
    with running(NOTHING, Place("1", "cpu", 1)) as workers:
        (refused,) = heard(workers)
    assert isinstance(refused, Refused)
    assert "Resource temporarily unavailable" in str(refused.error)


def test_a_system_without_pipes_to_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.os, "name", "nt")
    with pytest.raises(UsageError, match="leave --workers out"):
        Processes(NOTHING, ())


DRIVER = """
import sys, time
from ensemble.inference.executors import processes
from ensemble.inference.executors.places import Place
from ensemble.inference.orders import WorkerOrder
from ensemble.records import DecodePolicy
workers = processes.Processes(WorkerOrder((), DecodePolicy(), "cpu", 1), [Place("1", "cpu", 1)])
workers.start("1")
workers.wait()
print(workers._running["1"].process.pid, flush=True)
time.sleep(60)
"""


def test_a_worker_does_not_outlive_its_driver() -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    driver.stdout.close()
    until = time.monotonic() + 10
    while alive(worker):
        assert time.monotonic() < until
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody has reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_workers_ignore_what_a_terminal_sends_to_the_whole_group(make_member: MakeMember) -> None:
    with running(order_of(make_member("ant-f0")), Place("1", "cpu", 1, CORE)) as workers:
        heard(workers)
        process = workers._running["1"].process
        for order in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(order)
        time.sleep(0.2)
        assert process.poll() is None


def test_a_worker_that_is_ended_is_not_told_of_and_may_be_started_again() -> None:
    with running(NOTHING, Place("1", "cpu", 1, CORE), Place("2", "cpu", 1, CORE)) as workers:
        heard(workers, 2)
        process = workers._running["1"].process
        workers.end("1")
        workers.end("1")
        assert process.returncode == -signal.SIGKILL
        workers.start("1")
        assert [event.worker for event in heard(workers)] == ["1"]


def test_workers_end_when_they_are_closed(make_member: MakeMember) -> None:
    with running(order_of(make_member("ant-f0")), Place("1", "cpu", 1, CORE)) as workers:
        process = workers._running["1"].process
    assert process.returncode == -signal.SIGKILL
