"""The seam between who hands out shards and who runs workers: what happens, and what is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ensemble.inference.orders import Proven, ShardOrder, ShardReply


@dataclass(frozen=True, slots=True)
class Started:
    """A worker has started its members, and takes orders from now on."""

    worker: str
    proven: tuple[Proven, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A worker cannot start, and says why."""

    worker: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Scoring:
    """A worker has made so many evaluations more of a shard."""

    worker: str
    key: str
    number: int
    evaluations: int


@dataclass(frozen=True, slots=True)
class Warned:
    """A worker has something to say to the user."""

    worker: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Replied:
    """A worker has done with a shard."""

    worker: str
    reply: ShardReply


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone: what ended it, in words; `crashed` tells that its own code did."""

    worker: str
    cause: str
    crashed: bool = False


Event: TypeAlias = Started | Refused | Scoring | Warned | Replied | Died


class Workers(Protocol):
    """Workers somewhere, by their names; the seam between `Dispatcher` and who runs them."""

    @property
    def names(self) -> Sequence[str]:
        """What a person calls each worker, such as "cuda:1"."""

    def start(self, worker: str) -> None:
        """Begin to start a worker, or another in its place; does not wait."""

    def submit(self, worker: str, order: ShardOrder) -> None:
        """Give a worker a shard; does not wait. To one that has died nothing is done."""

    def end(self, worker: str) -> None:
        """End a worker, whatever it is at; nothing more is told of it until it is started again."""

    def wait(self) -> Sequence[Event]:
        """Wait until something happens, and tell it; what a worker does is told in its order."""

    def close(self) -> None:
        """End all workers, whatever they are at."""


@dataclass(frozen=True, slots=True)
class Shards:
    """Shards that are to be scored, and what is done with the replies.

    `key` stands in their orders; `order` makes the order of a number when it is handed out, and
    `take` is called once for each, in the order in which they end.
    """

    key: str
    numbers: Sequence[int]
    order: Callable[[int], ShardOrder]
    take: Callable[[ShardReply], None]
