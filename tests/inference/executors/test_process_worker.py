"""A worker process: it starts, says so, answers each shard, and ends with its pipe."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from toys import MakeMember

from ensemble.errors import MemberError
from ensemble.images.reading import Hashed
from ensemble.inference.executors import process_worker
from ensemble.inference.executors.process_worker import serve
from ensemble.inference.executors.shard_worker import Worker
from ensemble.inference.executors.workers import Refused, Replied, Scoring, Started
from ensemble.inference.orders import MemberOrder, ShardOrder, WorkerOrder
from ensemble.members.member import open_member
from ensemble.progress import Quiet
from ensemble.records import DecodePolicy
from ensemble.views.policy import preset


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Thread]]:
    """The driver's end of a pipe; at the other end a worker serves, in a thread of this process."""
    ours, theirs = Pipe()
    thread = Thread(target=serve, args=(theirs,))
    thread.start()
    yield ours, thread
    ours.close()
    thread.join(10)
    assert not thread.is_alive()


def order_of(path: Path) -> WorkerOrder:
    sha256 = open_member(path).sha256
    member = MemberOrder("ant-f0", path, sha256, preset("none"), "mean", "fp32", 4)
    return WorkerOrder((member,), DecodePolicy(), "cpu", 1)


def test_a_worker_says_that_it_has_started_and_answers_each_shard(
    pipe: tuple[Connection, Thread], make_member: MakeMember, hashed: list[Hashed]
) -> None:
    driver, order = pipe[0], order_of(make_member("ant-f0"))
    driver.send(("w1", order))
    assert driver.recv() == Started("w1", Worker(order).proven)
    shards = [ShardOrder("key", n, tuple(hashed), ("ant-f0",), share=11) for n in (0, 1)]
    for shard in shards:
        driver.send(shard)
    heard = [driver.recv() for _ in range(8)]  # three batches of four, and a reply, of each
    replies = {event.reply.number: event.reply for event in heard if isinstance(event, Replied)}
    expected = Worker(order).work(shards[0], Quiet()).scored[0].heads["label"]
    for number in (0, 1):
        made = [e.evaluations for e in heard if isinstance(e, Scoring) and e.number == number]
        assert sum(made) == len(hashed)
        np.testing.assert_array_equal(replies[number].scored[0].heads["label"], expected)


def test_a_worker_that_cannot_start_says_why(
    pipe: tuple[Connection, Thread], make_member: MakeMember
) -> None:
    path = make_member("ant-f0")
    order = order_of(path)
    path.write_bytes(b"")
    pipe[0].send(("w1", order))
    refused = pipe[0].recv()
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, MemberError)


@pytest.mark.parametrize("part", ["Replied", "Scoring"])
def test_a_worker_that_cannot_send_ends_so_that_the_driver_hears_of_it(
    make_member: MakeMember, hashed: list[Hashed], part: str
) -> None:
    order = order_of(make_member("ant-f0"))
    ours, theirs = Pipe()
    code = f"""
from multiprocessing.connection import Connection
from ensemble.inference.executors import process_worker
class Full(Connection):
    def send(self, message):
        if type(message).__name__ == {part!r}:
            raise MemoryError
        super().send(message)
process_worker.serve(Full({theirs.fileno()}))
"""
    with theirs:
        worker = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()])
    ours.send(("w1", order))
    ours.recv()
    ours.send(ShardOrder("key", 0, tuple(hashed), ("ant-f0",), share=11))
    try:
        assert worker.wait(60) == 1
    finally:
        worker.kill()
        ours.close()


def test_a_worker_whose_shard_raises_what_is_no_exception_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class EndedError(BaseException):
        pass

    def ended(code: int) -> None:
        raise EndedError(code)

    starting: Future[Worker] = Future()
    starting.set_exception(KeyboardInterrupt())
    monkeypatch.setattr(process_worker.os, "_exit", ended)
    answers = process_worker._Answers(Pipe()[0], "w1")
    with pytest.raises(EndedError, match="1"):
        process_worker._answer(starting, ShardOrder("key", 0, (), ("a",), share=1), answers)


def test_the_driver_does_not_wait_for_a_worker_whose_code_fails(
    pipe: tuple[Connection, Thread], make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_worker, "Worker", lambda _: 1 / 0)
    pipe[0].send(("w1", order_of(make_member("ant-f0"))))
    refused = pipe[0].recv()
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, ZeroDivisionError)
