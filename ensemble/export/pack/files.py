"""The files of a packed ensemble: the graph, its record beside it, and data beyond 2 GB."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from onnx import ModelProto, TensorProto

from ensemble.errors import UsageError, few
from ensemble.export.pack.graph import Packed
from ensemble.files.atomic import TEMPORARY, check_local, disk_error, publish, remove
from ensemble.members.card_json import PACKED_KEY
from ensemble.members.member import MAX_PROTOBUF

SUFFIX: Final = ".onnx"
_PAGE: Final = 4096
"""Where a tensor may begin in a file that is mapped into memory."""

_SLACK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class StagedPack:
    """Files of a packed ensemble that nobody sees yet; `data` is None where one file holds all."""

    model: Path
    record: Path
    data: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, the graph last."""
        return (*([self.data] if self.data else []), self.record, self.model)


def check_target(out: Path, *, force: bool) -> None:
    """Check that a packed ensemble can be written, before there is work to lose.

    Raises:
        UsageError: a name of another kind, or files that are there already.
    """
    check_local(out, "--out")
    if out.suffix != SUFFIX or not out.stem.strip("."):
        raise UsageError(f"--out {out}: expected a file that ends in {SUFFIX}, as model{SUFFIX}")
    there = [str(path) for path in (out, record_beside(out)) if path.exists()]
    if there and not force:
        raise UsageError(f"{few(there)}: there already; say --force to replace, or another --out")


def record_beside(out: Path) -> Path:
    """Return where the record of a packed file lies."""
    return out.with_suffix(".json")


@contextmanager
def staged(packed: Packed, record: Mapping[str, object], out: Path) -> Iterator[StagedPack]:
    """Write a packed ensemble where nobody looks for it, on the disk that it is meant for.

    What is not published when the block ends is gone.

    Raises:
        StoreError: the disk refused.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(
            prefix=f"{TEMPORARY}{out.name}-", dir=out.parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise disk_error("write", out, error) from error
    with folder as name:
        try:
            pack = _written(packed, record, Path(name), out.stem)
        except OSError as error:
            raise disk_error("write", out, error) from error
        yield pack


def publish_staged(pack: StagedPack, out: Path) -> tuple[Path, ...]:
    """Publish the files, the graph last, and remove the data of a pack that was replaced.

    Raises:
        StoreError: the disk refused.
    """
    targets = tuple(out.with_name(file.name) for file in pack.files)
    for file, target in zip(pack.files, targets, strict=True):
        publish(target, partial(_moved, file))
    remove_data(out.parent, out.stem, targets)
    return targets


def remove_data(folder: Path, stem: str, kept: Collection[Path]) -> None:
    """Remove the external data of packs of that name, but for those that are kept.

    Raises:
        StoreError: the disk refused.
    """
    data = re.compile(rf"{re.escape(stem)}-[0-9a-f]{{16}}\.data")
    for path in folder.iterdir():
        if data.fullmatch(path.name) and path not in kept:
            remove(path)


def _written(packed: Packed, record: Mapping[str, object], folder: Path, stem: str) -> StagedPack:
    model = ModelProto()
    model.CopyFrom(packed.model)
    said = dict(record)
    size = model.ByteSize() + sum(weight.size for weight in packed.weights.values())
    data = None
    if size + _SLACK <= MAX_PROTOBUF:
        _fill(model, packed)
    else:
        data, said["data"] = _write_data(model, packed, folder, stem)
    text = json.dumps(said, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    model.metadata_props.add(key=PACKED_KEY, value=text)
    path = folder / f"{stem}{SUFFIX}"
    path.write_bytes(model.SerializeToString(deterministic=True))
    record_beside(path).write_text(text, encoding="utf-8")
    return StagedPack(path, record_beside(path), data)


def _fill(model: ModelProto, packed: Packed) -> None:
    """Put the weights into the graph."""
    for tensor in model.graph.initializer:
        if tensor.name in packed.weights:
            tensor.raw_data = packed.weights[tensor.name].raw()


def _write_data(
    model: ModelProto, packed: Packed, folder: Path, stem: str
) -> tuple[Path, dict[str, object]]:
    """Write the weights to a file that is called by their hash, and say in the graph where.

    So the data of another ensemble is not found under the name that the graph asks for.
    """
    digest, path, at = hashlib.sha256(), folder / "weights", 0
    tensors = [t for t in model.graph.initializer if t.name in packed.weights]
    with path.open("wb") as file:
        for tensor in tensors:
            raw = packed.weights[tensor.name].raw()
            before = b"\0" * (-at % _PAGE)
            for piece in (before, raw):
                file.write(piece)
                digest.update(piece)
            _point(tensor, at + len(before), len(raw))
            at += len(before) + len(raw)
    sha256 = digest.hexdigest()
    named = path.rename(folder / f"{stem}-{sha256[:16]}.data")
    for tensor in tensors:
        tensor.external_data.add(key="location", value=named.name)
    return named, {"file": named.name, "sha256": sha256, "bytes": at}


def _point(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="offset", value=str(offset))
    tensor.external_data.add(key="length", value=str(length))


def _moved(file: Path, target: Path) -> None:
    file.replace(target)
