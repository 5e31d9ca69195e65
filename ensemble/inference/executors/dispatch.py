"""Handing out shards to workers, of whatever kind, until each has its reply.

A worker has two shards: one that it scores, and one that it decodes meanwhile. Replies come in any
order; one that comes twice, or late, is dropped. A worker that dies is replaced and its shards are
given again; nothing here knows what a worker is.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from ensemble.errors import GpuGoneError, ProviderError, ScoreError
from ensemble.inference.executors.workers import (
    Died,
    Refused,
    Replied,
    Scoring,
    Shards,
    Started,
    Warned,
    Workers,
)
from ensemble.inference.orders import Proven, ShardOrder, ShardReply
from ensemble.progress import Progress

IN_FLIGHT: Final = 2
"""Shards that a worker has at once: one is scored while the next is decoded."""

AGAIN: Final = 3
"""How often a shard is given again after a worker died of it, and a worker started again."""


_Shard: TypeAlias = tuple[str, int]


@dataclass(slots=True)
class _Worker:
    """What is known of a worker: whether it takes orders, what it has, how often it was lost."""

    started: bool = False
    gone: bool = False
    lost: int = 0
    has: dict[_Shard, ShardOrder] = field(default_factory=dict)
    told: Counter[_Shard] = field(default_factory=Counter)


class Dispatcher:
    """Workers at work: starts them, hands out shards, replaces those that die."""

    def __init__(self, workers: Workers, progress: Progress) -> None:
        """Begin to start all workers."""
        self._workers, self._progress = workers, progress
        self._known = {name: _Worker() for name in workers.names}
        self._proven: tuple[Proven, ...] | None = None
        self._refusal: Exception | None = None
        self._said: set[str] = set()
        self._shards: Shards | None = None
        self._todo: deque[_Shard] = deque()
        self._open: set[_Shard] = set()
        self._deaths: Counter[_Shard] = Counter()
        self._suspect: set[_Shard] = set()
        for name in workers.names:
            workers.start(name)

    @property
    def names(self) -> Sequence[str]:
        """The names of the workers that there are, whether they have started yet or not."""
        return [name for name, known in self._known.items() if not known.gone]

    def prove(self) -> tuple[Proven, ...]:
        """Wait for the first worker that has started, and return what it says of its members.

        Raises:
            MemberError: no worker can start, for a member is not usable.
            ProviderError: no worker can start.
        """
        while self._proven is None:
            self._hear()
        return self._proven

    def work_through(self, shards: Shards) -> None:
        """Have each shard scored once.

        Raises:
            ScoreError: a member failed, or workers died of a shard again and again.
            ProviderError: no worker is left that can start.
            Exception: what a worker's own code raised.
        """
        self._shards = shards
        self._todo = deque((shards.key, number) for number in shards.numbers)
        self._open = set(self._todo)
        while self._open:
            self._hand_out()
            self._hear()

    def close(self) -> None:
        """End all workers."""
        self._workers.close()

    def _hand_out(self) -> None:
        """Give shards to whoever has room, the first shard of each before the second of any."""
        for room in range(1, IN_FLIGHT + 1):
            for name, known in self._known.items():
                if self._todo and known.started and len(known.has) < min(room, self._room(known)):
                    self._submit(name, known, self._todo.popleft())

    def _room(self, known: _Worker) -> int:
        """Return how many shards a worker may have now: one of which a worker died is alone.

        Else another that is there by chance would be blamed for the next death too.
        """
        if any(shard in self._deaths for shard in known.has):
            return 0
        return 1 if self._todo[0] in self._deaths else IN_FLIGHT

    def _submit(self, name: str, known: _Worker, shard: _Shard) -> None:
        if self._shards is None or shard not in self._open:  # a late reply has come meanwhile
            return
        order = self._shards.order(shard[1])
        known.has[shard] = replace(order, suspect=shard in self._suspect)
        self._workers.submit(name, known.has[shard])

    def _hear(self) -> None:
        for event in self._workers.wait():
            match event:
                case Started():
                    self._start(event)
                case Refused(worker, error):
                    self._refuse(worker, error)
                case Scoring(worker, key, number, evaluations):
                    self._known[worker].told[key, number] += evaluations
                    self._progress.advance(evaluations)
                case Warned(_, message):
                    self._warn(message)
                case Replied(worker, reply):
                    if isinstance(reply.error, GpuGoneError):
                        self._lose(worker, reply, reply.error)
                    else:
                        self._take(self._known[worker], reply)
                case Died():
                    self._replace(event)

    def _start(self, event: Started) -> None:
        """Let a worker take orders, if its members run on what those of the first one do."""
        known = self._known[event.worker]
        first = self._proven = self._proven or event.proven
        here, there = ([(p.name, p.provider) for p in each] for each in (event.proven, first))
        if here != there:
            error = ProviderError(
                f"its members run on {_places(event.proven)}, those of the others on "
                f"{_places(first)}: predictions of both would mix. Say --device"
            )
            self._workers.end(event.worker)
            self._refuse(event.worker, error)
        else:
            known.started, known.lost = True, 0

    def _refuse(self, worker: str, error: Exception) -> None:
        """Go on without a worker that cannot start, or go on, or give up where no other is left."""
        known = self._known[worker]
        self._known[worker] = _Worker(gone=True)
        self._refusal = self._refusal or error
        if not self.names:
            raise self._refusal
        self._progress.advance(-known.told.total())
        self._todo.extendleft(reversed([shard for shard in known.has if shard in self._open]))
        does = "go on" if known.started else "start"
        self._progress.warn(f"worker {worker} cannot {does}, the others go on without it: {error}")

    def _warn(self, message: str) -> None:
        """Say once what several workers say."""
        if message not in self._said:
            self._said.add(message)
            self._progress.warn(message)

    def _take(self, known: _Worker, reply: ShardReply) -> None:
        """Take a reply, unless another worker gave it before."""
        shard = reply.key, reply.number
        known.has.pop(shard, None)
        told = known.told.pop(shard, 0)
        if self._shards is None or shard not in self._open:
            self._progress.advance(-told)  # of a shard that is done already
            return
        if reply.error is not None:
            raise reply.error
        rows = sum(len(each.ids) + len(each.lost) for each in reply.scored)
        self._progress.advance(rows - told)
        self._open.discard(shard)
        self._shards.take(reply)

    def _lose(self, worker: str, reply: ShardReply, error: GpuGoneError) -> None:
        """End a worker whose GPU failed, once, as one that died: a new process may mend it."""
        if (reply.key, reply.number) in self._known[worker].has:
            self._workers.end(worker)
            self._replace(Died(worker, f"its GPU ({str(error).partition('. ')[0]})"))

    def _replace(self, event: Died) -> None:
        """Start another worker in the place of one that died, and give its shards again."""
        known = self._known[event.worker]
        if known.gone:
            return
        self._progress.advance(-known.told.total())
        orders = [order for shard, order in known.has.items() if shard in self._open]
        for order in orders:
            self._blame(order, event)
        self._todo.extendleft((order.key, order.number) for order in reversed(orders))
        if known.lost == AGAIN:
            error = ProviderError(f"{event.cause} ended it {AGAIN + 1} times before it had started")
            self._refuse(event.worker, error)
        else:
            self._known[event.worker] = _Worker(lost=known.lost + 1)
            self._progress.warn(
                f"worker {event.worker} was ended by {event.cause} {_place(known, orders)}: it is "
                f"started again"
            )
            self._workers.start(event.worker)

    def _blame(self, order: ShardOrder, event: Died) -> None:
        """Note that a worker died of a shard; its images are looked at one by one before long."""
        shard = order.key, order.number
        self._deaths[shard] += 1
        if event.crashed or self._deaths[shard] >= AGAIN - 1:
            self._suspect.add(shard)
        if self._deaths[shard] > AGAIN:
            raise ScoreError(
                f"shard {order.number} ({order.images[0].source.id!r} to "
                f"{order.images[-1].source.id!r}) ended {self._deaths[shard]} workers, the last "
                f"one by {event.cause}. No image crashes the decoder: the member or ONNX Runtime "
                f"crashes, or memory runs out. Leave the member out or export it again; or try a "
                f"smaller --batch-size or --shard-size, or fewer --workers"
            )


def _place(known: _Worker, orders: Sequence[ShardOrder]) -> str:
    if not known.started:
        return "while it started"
    return f"at shard {orders[0].number}" if orders else "between shards"


def _places(proven: Iterable[Proven]) -> str:
    return ", ".join(sorted({each.provider for each in proven}))
