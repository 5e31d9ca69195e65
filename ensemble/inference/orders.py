"""What a worker is told and what it answers: records that can be pickled, and nothing open.

A worker starts its members once, by a `WorkerOrder`; then it takes one `ShardOrder` after another
and answers each with a `ShardReply`. The driver alone commits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ensemble.arrays import Probs
from ensemble.boxes import Crop
from ensemble.images.reading import Hashed
from ensemble.inference.ready import BatchSize
from ensemble.records import DecodePolicy, Merge, Precision, Quarantined, View


@dataclass(frozen=True, slots=True)
class MemberOrder:
    """A member to start: its file, the hash of all its files, and how it is to score.

    `policy` are the views of its graph, in order. `crop` is how boxes of the images are widened
    for it; None where it sees whole images.
    """

    name: str
    path: Path
    sha256: str
    policy: tuple[View, ...]
    merge: Merge
    precision: Precision
    batch: BatchSize
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker starts with: its members, how files become pixels, and what it may use.

    `threads` 0 takes every processor that the worker may use; `cache` is where TensorRT keeps its
    engines, None for nowhere. On so many `probe_images` a member that computes otherwise is held.
    """

    members: tuple[MemberOrder, ...]
    decode: DecodePolicy
    device: str
    threads: int = 0
    cache: Path | None = None
    probe_images: int = 16


@dataclass(frozen=True, slots=True)
class Proven:
    """A member that has started at a worker and stood its probe: what the driver needs to know."""

    name: str
    provider: str
    batch: int
    fixed_batch: bool
    lanes: int
    why_cpu: str = ""


@dataclass(frozen=True, slots=True)
class ShardOrder:
    """A shard to score: its images, and the members that still need it, by name.

    `key` is that of the first of these members' predictions: with the number it tells which shard
    a reply is of. `share` is about how many images a worker will have in all, by which it knows
    whether a warm-up of batch sizes pays. `drop_nan` leaves out a member that gives NaN. With
    `suspect` a worker has died of this shard: its images are first decoded in processes of their
    own, and those that crash the decoder are set aside.
    """

    key: str
    number: int
    images: tuple[Hashed, ...]
    members: tuple[str, ...]
    share: int
    drop_nan: bool = False
    suspect: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a member gives a shard: float32 (n, C) of each head for each id, and what has none."""

    member: str
    ids: tuple[str, ...]
    heads: Mapping[str, Probs]
    lost: tuple[Quarantined, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ShardReply:
    """What became of a shard: what each member gave, or the error that ends the run.

    `nan` are the members left out because they gave NaN; `odd` counts what was odd about the
    files; `batches` are the batch sizes of the members, halved where memory ran out.
    """

    key: str
    number: int
    scored: tuple[Scored, ...] = ()
    nan: tuple[str, ...] = ()
    odd: Mapping[str, int] = field(default_factory=dict)
    batches: Mapping[str, int] = field(default_factory=dict)
    error: Exception | None = None
