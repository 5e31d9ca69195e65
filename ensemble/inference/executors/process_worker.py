"""What a worker process does: it starts its members, scores what comes by its pipe, and answers.

The pipe is its tie to the driver: when it ends, so does the process, whatever it is at.
"""

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from threading import Lock
from typing import NoReturn

from ensemble.inference.executors.dispatch import IN_FLIGHT
from ensemble.inference.executors.shard_worker import Worker, portable
from ensemble.inference.executors.workers import (
    Event,
    Refused,
    Replied,
    Scoring,
    Started,
    Warned,
)
from ensemble.inference.orders import ShardOrder, WorkerOrder


def main(pipe: int) -> NoReturn:
    """Serve the driver at the other end of a pipe, until that end is closed."""
    for order in (signal.SIGINT, signal.SIGTERM):  # they may reach the whole group: the driver acts
        signal.signal(order, signal.SIG_IGN)
    serve(Connection(pipe))
    os._exit(0)  # threads that score are not waited for


@dataclass(slots=True)
class _Answers:
    """The way back, one message at a time.

    Whatever cannot be sent ends the process: the driver hears of its end, and of nothing else.
    """

    connection: Connection
    worker: str
    sending: Lock = field(default_factory=Lock)

    def send(self, event: Event) -> None:
        with self.sending:
            try:
                self.connection.send(event)
            except BaseException:  # the driver is gone; or memory, and half a message is sent
                os._exit(1)


@dataclass(frozen=True, slots=True)
class _Told:
    """A progress that the driver hears of, for one shard."""

    answers: _Answers
    key: str
    number: int

    def start(self, total: int, members: int, unit: str = "images") -> None:
        """Say nothing: the driver knows."""

    def advance(self, evaluations: int) -> None:
        """Tell of evaluations."""
        self.answers.send(Scoring(self.answers.worker, self.key, self.number, evaluations))

    def warn(self, message: str) -> None:
        """Pass a message on."""
        self.answers.send(Warned(self.answers.worker, message))


def serve(connection: Connection) -> None:
    """Take the worker's name and order, then shards, until the pipe ends.

    Members start in a thread of their own, so that the end of the pipe is heard meanwhile. Threads
    that are at work when it comes are not waited for.
    """
    pool = ThreadPoolExecutor(IN_FLIGHT)
    try:
        name, order = connection.recv()
        answers = _Answers(connection, name)
        starting = pool.submit(_started, order, answers)
        while True:
            shard = connection.recv()
            pool.submit(_answer, starting, shard, answers)
    except (EOFError, ConnectionError):
        pool.shutdown(wait=False, cancel_futures=True)


def _started(order: WorkerOrder, answers: _Answers) -> Worker:
    """Start the worker and say so, or why it cannot start."""
    try:
        worker = Worker(order)
    except Exception as error:  # whatever it is, the driver must not wait for ever
        answers.send(Refused(answers.worker, portable(error)))
        raise
    answers.send(Started(answers.worker, worker.proven))
    return worker


def _answer(starting: Future[Worker], order: ShardOrder, answers: _Answers) -> None:
    """Score a shard and say what came of it; where that cannot be, the process ends."""
    try:
        reply = starting.result().work(order, _Told(answers, order.key, order.number))
    except BaseException:  # nobody looks at this thread: the driver would wait for ever
        os._exit(1)
    answers.send(Replied(answers.worker, reply))
