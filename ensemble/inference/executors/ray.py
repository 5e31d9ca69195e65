"""Workers on a cluster of Ray: an actor each. Nothing else imports Ray.

Ray Core, not Ray Data: order, faults of a block and checkpoints are ours, by `dispatch` and the
store. An actor is not restarted by Ray: who hands out shards replaces it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ensemble.errors import ProviderError
from ensemble.inference.executors.nodes import Slot, slots
from ensemble.inference.executors.parcels import Parcel, pack
from ensemble.inference.executors.ray_cluster import join, leave, nodes
from ensemble.inference.executors.remote import (
    ImageNotThereError,
    RemoteOrder,
    RemoteReply,
    RemoteWorker,
    is_here,
    named,
    versions,
)
from ensemble.inference.executors.workers import Died, Event, Refused, Replied, Started, Warned
from ensemble.inference.orders import Proven, ShardOrder, ShardReply, WorkerOrder

import ray  # isort: skip  # after `ray_cluster`, which says how
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError  # isort: skip
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # isort: skip

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

_TICK: Final = 1.0
PATIENCE: Final = 30.0
"""Seconds that a worker may wait for a place before the user is told."""

PAUSE: Final = 5.0
"""Seconds after which a machine that saw images before is asked again for one that it does not."""


class Actor:
    """What Ray runs on a machine; it starts by `start`, so that a fault there can be told."""

    def start(self, told: RemoteOrder, contents: "Mapping[str, ObjectRef]") -> tuple[Proven, ...]:
        """Start the members; `contents` are their files, by hash, wherever they lie."""
        self._worker = RemoteWorker(told, lambda sha256: bytes(ray.get(contents[sha256])))
        return self._worker.proven

    def work(self, order: ShardOrder, *, look: bool, after: float) -> RemoteReply:
        """Score a shard; see `RemoteWorker.work`."""
        return self._worker.work(order, look=look, after=after)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What an actor was asked: to start, or to score a shard, perhaps for the second time."""

    worker: str
    actor: "ActorHandle"
    order: ShardOrder | None = None
    again: bool = False


class RayWorkers:
    """An actor for each GPU of a cluster, or for a share of each machine's processors."""

    def __init__(self, order: WorkerOrder, address: str, workers: int) -> None:
        """Join or start a cluster, and know what workers start with; none is started yet.

        Args:
            order: What they start with; its members' files are read here, and sent by content.
            address: "" for what RAY_ADDRESS says, or a cluster of this machine.
            workers: How many a machine, where they run on processors.

        Raises:
            UsageError: the address or the device is none.
            ProviderError: the cluster cannot be joined or started, or has no room.
            MemberError: a member cannot be read.
        """
        self._own = join(address)
        try:
            found = slots(nodes(), order.device, workers or 1, order.threads)
            self._slots = {slot.name: slot for slot in found}
            self._contents: dict[str, ObjectRef] = {}
            parcels = tuple(pack(each.path, each.sha256, self._keep) for each in order.members)
        except BaseException:
            leave(own=self._own)
            raise
        self._told = {slot.name: _told(order, parcels, slot) for slot in found}
        self._actors: dict[str, ActorHandle] = {}
        self._asked: dict[ObjectRef, _Asked] = {}
        self._waiting: dict[str, float] = {}
        self._seeing, self._moved = set[str](), set[str]()

    @property
    def names(self) -> Sequence[str]:
        """What a person calls each worker: its machine's address, and its number there."""
        return list(self._slots)

    def start(self, worker: str) -> None:
        """Begin to start an actor on the worker's machine, or wherever, if that is gone."""
        slot = self._slots[worker]
        alive = slot.node in {node.id for node in nodes()}
        if not alive:
            self._moved.add(worker)
        place = NodeAffinitySchedulingStrategy(slot.node, soft=False) if alive else "DEFAULT"
        actor = (
            ray.remote(Actor)
            .options(num_cpus=slot.cpus, num_gpus=int(slot.gpu), max_restarts=0,
                     max_concurrency=2, scheduling_strategy=place)
            .remote()
        )  # fmt: skip
        self._actors[worker] = actor
        self._waiting[worker] = time.monotonic()
        asked = actor.start.remote(self._told[worker], self._contents)
        self._asked[asked] = _Asked(worker, actor)

    def submit(self, worker: str, order: ShardOrder) -> None:
        """Give a worker a shard."""
        if worker in self._actors:
            self._submit(worker, order, look=True)

    def end(self, worker: str) -> None:
        """End a worker's actor."""
        self._waiting.pop(worker, None)
        self._seeing.discard(worker)
        if actor := self._actors.pop(worker, None):
            ray.kill(actor)

    def wait(self) -> Sequence[Event]:
        """Wait until an actor answers or ends, or has waited long for a place."""
        while True:
            done, _ = ray.wait(list(self._asked), timeout=_TICK)
            events = [event for each in done for event in self._heard(each)]
            if events := [*events, *self._late()]:
                return events

    def close(self) -> None:
        """End all actors; and the cluster, where it was started here."""
        for worker in list(self._actors):
            self.end(worker)
        leave(own=self._own)

    def _keep(self, sha256: str, data: bytes) -> None:
        if sha256 not in self._contents:
            self._contents[sha256] = ray.put(data)

    def _submit(self, worker: str, order: ShardOrder, *, look: bool, again: bool = False) -> None:
        actor = self._actors[worker]
        asked = actor.work.remote(order, look=look, after=PAUSE if look and again else 0.0)
        self._asked[asked] = _Asked(worker, actor, order, again)

    def _heard(self, ref: "ObjectRef") -> Iterator[Event]:
        """Tell what an answer means; nothing, of an actor that is gone."""
        asked = self._asked.pop(ref)
        worker, order = asked.worker, asked.order
        if self._actors.get(worker) is not asked.actor:
            return
        try:
            answer = ray.get(ref)
        except RayTaskError as error:  # its own code raised
            if order is not None:
                fault = ShardReply(order.key, order.number, error=_raised(error))
                yield Replied(worker, fault)
            else:
                yield self._refused(worker, _raised(error))
        except RayError as error:
            self.end(worker)
            if getattr(error, "actor_init_failed", False):
                why = f"ensemble cannot be imported there: {_last_line(error)}"
                yield self._refused(worker, ProviderError(f"{why}. Install the same there"))
            else:
                yield Died(worker, cause_of(error))
        else:
            yield from self._answered(asked, answer)

    def _answered(self, asked: _Asked, answer: tuple[Proven, ...] | RemoteReply) -> Iterator[Event]:
        worker, order = asked.worker, asked.order
        if not isinstance(answer, RemoteReply) or order is None:
            self._waiting.pop(worker, None)
            yield Started(worker, answer if isinstance(answer, tuple) else ())
            return
        yield from (Warned(worker, text) for text in answer.warnings)
        error = answer.reply.error
        if not isinstance(error, ImageNotThereError):
            self._seeing.add(worker)
            yield Replied(worker, answer.reply)
        elif is_here(order):
            if asked.again or worker not in self._seeing:
                yield self._refused(worker, error)
            else:  # a fault that may pass
                self._submit(worker, order, look=True, again=True)
        else:  # gone everywhere: its row is quarantined, as in a run of one process
            self._submit(worker, order, look=False)

    def _refused(self, worker: str, error: Exception) -> Refused:
        self.end(worker)
        machine = worker.rpartition("/")[0]
        where = (
            f"a machine in the place of {machine}"
            if worker in self._moved
            else f"machine {machine}"
        )
        return Refused(worker, named(where, error))

    def _late(self) -> Iterator[Warned]:
        """Tell once of each worker that waits for a place."""
        for worker, since in list(self._waiting.items()):
            if time.monotonic() - since > PATIENCE:
                self._waiting[worker] = float("inf")
                slot = self._slots[worker]
                what = "a GPU" if slot.gpu else f"{slot.cpus} processors"
                yield Warned(worker, f"worker {worker} waits for {what}: Ray has none free there. "
                                     f"`ray status` tells who has them")  # fmt: skip


def cause_of(error: RayError) -> str:
    """Say in a few words what ended an actor; Ray tells no signal."""
    text = str(error).lower()
    if any(f"node {gone}" in text for gone in ("has died", "is dead", "was terminated")):
        return "the loss of its machine"
    if isinstance(error, OutOfMemoryError) or "running low on memory" in text:
        return "Ray, as its machine ran low on memory"
    return "the end of its process"


def _told(order: WorkerOrder, parcels: tuple[Parcel, ...], slot: Slot) -> RemoteOrder:
    """Return what a worker starts with: the processors of its slot.

    On a GPU "auto" is CUDA: a machine whose CUDA is broken refuses itself, where it would else
    start on its processors, perhaps as the first, and all the others would be left out.
    """
    auto = "cuda" if slot.gpu else "cpu"
    device = auto if order.device == "auto" else order.device
    own = replace(order, threads=max(1, slot.cpus), device=device)
    return RemoteOrder(own, parcels, versions(device), Path.cwd())


def _raised(error: RayTaskError) -> Exception:
    """Return what an actor's own code raised."""
    cause = error.cause
    return cause if isinstance(cause, Exception) else RuntimeError(_last_line(error))


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]
