"""A member on its way to another machine: its files by content, and who keeps them there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ensemble.errors import MemberError
from ensemble.files.atomic import publish_bytes, sha256_bytes, sha256_file
from ensemble.members.member import SIDECAR, read_graph
from ensemble.members.onnx_checks import external_files


@dataclass(frozen=True, slots=True)
class Parcel:
    """A member's files: the SHA-256 of each by its name, relative to the first one's folder.

    `name` is the .onnx file's; a card beside it and external data have names of their own. `sha256`
    is the hash of the member as a whole.
    """

    name: str
    sha256: str
    files: tuple[tuple[str, str], ...]


def pack(path: Path, sha256: str, keep: Callable[[str, bytes], None]) -> Parcel:
    """Return a member's parcel, and give each of its files to `keep`, by its hash.

    Raises:
        MemberError: the member cannot be read.
    """
    beside = external_files(read_graph(path), path)
    card = path.with_name(path.name + SIDECAR)
    found = {path.name: path, **({card.name: card} if card.is_file() else {}), **beside}
    files = []
    for name, file in found.items():
        try:
            data = file.read_bytes()
        except OSError as error:
            raise MemberError(f"{file}: cannot read the member: {error.strerror}") from error
        files.append((name, sha256_bytes(data)))
        keep(files[-1][1], data)
    return Parcel(path.name, sha256, tuple(files))


def unpack(parcel: Parcel, cache: Path, fetch: Callable[[str], bytes]) -> Path:
    """Return a member's path in a cache of this machine; what is not there is fetched by its hash.

    A file that is there and is another one is fetched again.

    Raises:
        StoreError: the disk refused.
    """
    folder = cache / parcel.sha256[:16]
    for name, sha256 in parcel.files:
        file = folder / name
        if not file.is_file() or sha256_file(file) != sha256:
            publish_bytes(file, fetch(sha256))
    return folder / parcel.name
