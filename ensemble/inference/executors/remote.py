"""A worker on another machine: what it checks there before it takes orders, and then works.

It knows nothing of what brought it there.
"""

import os
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ensemble.errors import EnsembleError, ImageError, MemberError, ProviderError
from ensemble.images.reading import Hashed, read
from ensemble.inference.executors.parcels import Parcel, unpack
from ensemble.inference.executors.shard_worker import Worker
from ensemble.inference.orders import Proven, ShardOrder, ShardReply, WorkerOrder
from ensemble.progress import Quiet
from ensemble.runtime.wheels import installed

_SAME: Final = ("ensemble-vote", "onnxruntime", "onnxruntime-gpu", "numpy", "pillow", "simplejpeg")
"""Packages whose versions decide pixels and predictions: a worker has those of the driver."""


class ImageNotThereError(ProviderError):
    """A machine cannot read an image that the driver could read."""


@dataclass(frozen=True, slots=True)
class RemoteOrder:
    """What a worker of another machine starts with.

    `order` is what it would start with here; the paths of its members count there only by
    `parcels`, in the same order. `versions` are those of the driver's packages, `folder` the
    driver's own, from which relative paths of images count.
    """

    order: WorkerOrder
    parcels: tuple[Parcel, ...]
    versions: Mapping[str, str]
    folder: Path


@dataclass(frozen=True, slots=True, eq=False)
class RemoteReply:
    """A reply to a shard, and what the worker has to say to the user."""

    reply: ShardReply
    warnings: tuple[str, ...] = ()


class RemoteWorker:
    """Members started on this machine from what came by content."""

    def __init__(self, told: RemoteOrder, fetch: Callable[[str], bytes]) -> None:
        """Check the packages here, fetch the members that are not here yet, and start them.

        Raises:
            ProviderError: packages of other versions, or the device does not start.
            MemberError: a member is not usable here.
        """
        check_versions(told.versions, versions(told.order.device))
        with suppress(OSError):  # then relative paths lead nowhere, and the first image says so
            os.chdir(told.folder)
        self._worker = Worker(_here(told, cache_folder(), fetch))

    @property
    def proven(self) -> tuple[Proven, ...]:
        """What the driver needs to know of each member."""
        return self._worker.proven

    def work(self, order: ShardOrder, *, look: bool, after: float = 0) -> RemoteReply:
        """Score a shard, after so many seconds; with `look` only if its first image is read."""
        time.sleep(after)
        if look and (missing := not_there(order)) is not None:
            return RemoteReply(ShardReply(order.key, order.number, error=missing))
        told = _Told()
        reply = self._worker.work(order, told)
        return RemoteReply(reply, tuple(told.warnings))


def versions(device: str) -> dict[str, str]:
    """Return the versions of the packages that decide predictions on a device, of those here."""
    return installed((*_SAME, "openvino") if device == "openvino" else _SAME)


def check_versions(wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Check that packages are those of the driver.

    Raises:
        ProviderError: one has another version, is missing, or is there beside.
    """
    names = sorted(wanted.keys() | found.keys())
    for name in names:
        there, here = wanted.get(name, "not there"), found.get(name, "not there")
        if there != here:
            line = f"pip install {name}=={there}" if name in wanted else f"pip uninstall {name}"
            raise ProviderError(
                f"package {name} is {here}, and {there} where the command runs: predictions would "
                f"mix. Install the same there: {line}"
            )


def not_there(order: ShardOrder) -> ImageNotThereError | None:
    """Return why the first image of a shard that was hashed cannot be read here; None if it can."""
    image = first_readable(order)
    if image is None:
        return None
    try:
        read(image)
    except ImageError as error:
        return ImageNotThereError(
            f"image {image.source.id!r} ({image.source.path}) is not there as the command sees it: "
            f"{error}. Let every machine see the images under the same path, or give them by an "
            f"address that all reach, as s3://"
        )
    return None


def first_readable(order: ShardOrder) -> Hashed | None:
    """Return the first image of a shard that the driver could read."""
    return next((image for image in order.images if image.sha256), None)


def is_here(order: ShardOrder) -> bool:
    """Tell whether the first image of a shard that was hashed can be read here."""
    return first_readable(order) is not None and not_there(order) is None


def cache_folder() -> Path:
    """Return where this machine keeps members that came by content, below TMPDIR.

    Raises:
        ProviderError: it cannot be made, or others may write there.
    """
    uid = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir(), "ensemble" if uid is None else f"ensemble-{uid}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ProviderError(f"{folder}: cannot keep members there: {error.strerror}") from error
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if uid is not None and (not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or others):
        raise ProviderError(
            f"{folder}: expected a folder of user {uid} that nobody else may write to; found "
            f"{stat.filemode(found.st_mode)} of user {found.st_uid}: what lies there would be run. "
            f"Remove it, or set TMPDIR there"
        )
    return folder


def named(where: str, error: BaseException) -> EnsembleError:
    """Return an error that a machine gave, as one that names the machine."""
    text = f"{where}: {error}"
    return MemberError(text) if isinstance(error, MemberError) else ProviderError(text)


def _here(told: RemoteOrder, cache: Path, fetch: Callable[[str], bytes]) -> WorkerOrder:
    """Return an order whose members, and TensorRT's engines, lie on this machine."""
    pairs = zip(told.order.members, told.parcels, strict=True)
    members = tuple(
        replace(member, path=unpack(parcel, cache / "members", fetch)) for member, parcel in pairs
    )
    engines = None if told.order.cache is None else cache / "engines"
    return replace(told.order, members=members, cache=engines)


class _Told(Quiet):
    """A progress that keeps warnings, to be sent with the reply."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)
