"""A worker: members that are started once, and shards scored as they are ordered.

It is the same whoever runs it, a process of this machine or an actor of a cluster: it knows no
store and commits nothing.
"""

import pickle
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from ensemble.errors import MemberError
from ensemble.images.loader import Shard, Wanted, begin, crashing, decoders
from ensemble.images.reading import Hashed
from ensemble.inference.batch_size import tuned
from ensemble.inference.batches import Job, NonFiniteError
from ensemble.inference.held_images import first_pixels, how_held, in_words
from ensemble.inference.orders import (
    MemberOrder,
    Proven,
    Scored,
    ShardOrder,
    ShardReply,
    WorkerOrder,
)
from ensemble.inference.ready import ReadyMember, job_of
from ensemble.inference.scored import score_shard
from ensemble.inference.start import hold, shape_views, start_shaped
from ensemble.members.crop import with_crops
from ensemble.members.member import open_member
from ensemble.progress import Progress
from ensemble.records import Geometry
from ensemble.runtime.devices import available_threads
from ensemble.worker import Watch


class Worker:
    """Members that are ready, and what decodes for them.

    `work` may be called by two threads at once: then one shard is decoded while another is scored.
    """

    def __init__(self, order: WorkerOrder) -> None:
        """Start the members, each proven on a probe batch.

        Raises:
            MemberError: a member is not usable, or not the one that was ordered.
            ProviderError: the device does not start.
        """
        self._order = order
        self._threads = order.threads or available_threads()
        with ThreadPoolExecutor(self._threads) as pool:
            started = list(pool.map(self._started, order.members))
        self._ready = {ready.member.card.name: ready for ready in started}
        self._told = {told.name: told for told in order.members}
        self._jobs: dict[str, Job] = {}
        self._halved: dict[str, int] = {}
        self._scoring, self._beginning = Lock(), Lock()
        self._decoders: ThreadPoolExecutor | None = None

    @property
    def proven(self) -> tuple[Proven, ...]:
        """What the driver needs to know of each member, in the order of the members."""
        return tuple(_proven(ready) for ready in self._ready.values())

    def work(self, order: ShardOrder, progress: Progress) -> ShardReply:
        """Score a shard; what goes wrong stands in the reply, to be raised by the driver."""
        try:
            return self._worked(order, progress)
        except Exception as error:  # the driver raises it, whatever it is
            return ShardReply(order.key, order.number, error=portable(error))

    def _worked(self, order: ShardOrder, progress: Progress) -> ShardReply:
        members = [self._ready[name] for name in order.members]
        poison = self._poison(order, members)
        shard = self._begun(order, members, poison)
        scored: list[Scored] = []
        nan: list[str] = []
        with self._scoring:  # meanwhile the next shard is decoded
            good = [image for image in order.images if image.source.id not in poison]
            for ready in members:
                job = self._job(ready, good, order.share, progress)
                try:
                    scored.append(score_shard(job, shard, progress, self._halved))
                except NonFiniteError:
                    if not order.drop_nan:
                        raise
                    nan.append(job.name)
            batches = {name: job.batch for name, job in self._jobs.items()} | self._halved
        odd = dict(shard.warnings())
        return ShardReply(order.key, order.number, tuple(scored), tuple(nan), odd, batches)

    def _poison(self, order: ShardOrder, members: Sequence[ReadyMember]) -> frozenset[str]:
        """Return the ids of the images that crash the decoder, looked for where some may."""
        if not order.suspect:
            return frozenset()
        return crashing(order.images, self._order.decode, _geometries(members))

    def _begun(
        self, order: ShardOrder, members: Sequence[ReadyMember], poison: Collection[str]
    ) -> Shard:
        """Begin to decode a shard."""
        with self._beginning:  # else two threads make two pools
            if self._decoders is None:
                self._decoders = decoders(order.images, self._threads)
        wanted = Wanted(order.images, _geometries(members))
        return begin(self._decoders, wanted, self._order.decode, Watch(poison=frozenset(poison)))

    def _job(
        self, ready: ReadyMember, images: Sequence[Hashed], share: int, progress: Progress
    ) -> Job:
        """Return a member at work; before its first shard it is held, and its batches sized."""
        name = ready.member.card.name
        if name not in self._jobs:
            self._hold(ready, images, progress)
            self._jobs[name] = job_of(ready, tuned(ready, share))
        return self._jobs[name]

    def _hold(self, ready: ReadyMember, images: Sequence[Hashed], progress: Progress) -> None:
        """Hold a member that computes otherwise on the first images of its first shard."""
        name, order = ready.member.card.name, self._order
        told = self._told[name]
        how = how_held(ready, order.device, told.precision)
        if how is None:
            return
        pixels = first_pixels(images, order.decode, ready.geometry, order.probe_images)
        if pixels:
            agreement = hold(ready, told.merge, how, np.stack(pixels))
            progress.warn(f"member {name}: {in_words(how, agreement)}")

    def _started(self, told: MemberOrder) -> ReadyMember:
        """Open and start a member, if it is the one that the driver has seen."""
        member = open_member(told.path)
        if member.sha256 != told.sha256:
            raise MemberError(
                f"{told.path}: not the member that the run began with: its SHA-256 is "
                f"{member.sha256[:12]} here, and was {told.sha256[:12]}. Let every worker see the "
                f"same files, and leave them alone while a run lasts"
            )
        member = with_crops([member], told.crop, cropped=told.crop is not None)[0]
        return start_shaped(
            member,
            shape_views(member, told.policy),
            told.merge,
            device=self._order.device,
            threads=self._threads,
            batch=told.batch,
            precision=told.precision,
            cache=self._order.cache,
        )


def _geometries(members: Sequence[ReadyMember]) -> tuple[Geometry, ...]:
    return tuple(dict.fromkeys(ready.geometry for ready in members))


def _proven(ready: ReadyMember) -> Proven:
    scorer = ready.scorer
    return Proven(
        ready.member.card.name,
        scorer.provider,
        ready.batch,
        ready.fixed_batch,
        scorer.lanes,
        scorer.why_cpu,
    )


def portable(error: Exception) -> Exception:
    """Return an error that can be sent: itself, or its words where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    except Exception:  # an error's own code may raise anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
