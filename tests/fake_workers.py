"""Workers without processes: what they do with shards is scripted, and happens in any order."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ensemble.images.reading import Hashed
from ensemble.images.sources import Source
from ensemble.inference.executors.workers import Died, Event, Refused, Replied, Shards, Started
from ensemble.inference.orders import Proven, Scored, ShardOrder, ShardReply
from ensemble.progress import Quiet

PROVEN = (Proven("a", "CPUExecutionProvider", 4, fixed_batch=False, lanes=1),)


def replied(order: ShardOrder) -> ShardReply:
    """What a worker gives: of each image a row that depends on its id and on nothing else."""
    ids = tuple(image.source.id for image in order.images)
    rows = np.array([[len(name), hash(name) % 97] for name in ids], np.float32)
    scored = tuple(Scored(member, ids, {"label": rows}, ()) for member in order.members)
    return ShardReply(order.key, order.number, scored)


@dataclass
class FakeWorkers:
    """Workers whose shards end at `wait`: the newest first, where they are `newest_first`.

    `fate` tells for an order what happens in place of its reply; `refusing` never start.
    """

    names: Sequence[str] = ("w0", "w1")
    fate: Callable[[str, ShardOrder], Sequence[Event] | None] = lambda worker, order: None
    refusing: Sequence[str] = ()
    newest_first: bool = False
    events: deque[Event] = field(default_factory=deque)
    orders: list[tuple[str, ShardOrder]] = field(default_factory=list)
    submitted: list[tuple[str, int, bool]] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    closed: bool = False

    def start(self, worker: str) -> None:
        self.starts.append(worker)
        refused = Refused(worker, RuntimeError(f"no {worker}"))
        self.events.append(refused if worker in self.refusing else Started(worker, PROVEN))

    def submit(self, worker: str, order: ShardOrder) -> None:
        self.submitted.append((worker, order.number, order.suspect))
        self.orders.append((worker, order))

    def end(self, worker: str) -> None:
        self.ended.append(worker)
        self.orders = [each for each in self.orders if each[0] != worker]

    def wait(self) -> Sequence[Event]:
        if self.events:
            return [self.events.popleft()]
        worker, order = self.orders.pop(-1 if self.newest_first else 0)
        found = self.fate(worker, order)
        if found is None:
            return [Replied(worker, replied(order))]
        dead = {event.worker for event in found if isinstance(event, Died)}
        self.orders = [each for each in self.orders if each[0] not in dead]
        return found

    def close(self) -> None:
        self.closed = True


@dataclass
class Told(Quiet):
    """A progress that keeps what it is told."""

    done: int = 0
    said: list[str] = field(default_factory=list)

    def advance(self, evaluations: int) -> None:
        self.done += evaluations

    def warn(self, message: str) -> None:
        self.said.append(message)


def shards(count: int, taken: dict[int, ShardReply], each: int = 3) -> Shards:
    """So many shards of one member; their replies go into `taken`, each once."""

    def order(number: int) -> ShardOrder:
        ids = [f"img{number * each + row}" for row in range(each)]
        images = tuple(Hashed(Source(name, Path(name)), "00", 1) for name in ids)
        return ShardOrder("key", number, images, ("a",), share=count * each)

    def take(reply: ShardReply) -> None:
        assert reply.number not in taken
        taken[reply.number] = reply

    return Shards("key", range(count), order, take)
