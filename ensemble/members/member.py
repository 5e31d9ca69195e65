"""Opening members: an .onnx file, its card and its weights, checked before any image is read.

The file is untrusted: see `onnx_checks` for what it may hold. Every file of a member is hashed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError
from onnx.inliner import inline_local_functions

from ensemble.errors import MemberError
from ensemble.files.atomic import publish_bytes, sha256_bytes, sha256_file
from ensemble.files.paths import CHECKPOINTS, is_url
from ensemble.members import card_json as cards
from ensemble.members.card import Card
from ensemble.members.layout import adapted
from ensemble.members.onnx_checks import (
    TOOL_ERRORS,
    check_opsets,
    check_text,
    drop_unused_domains,
    external_files,
)
from ensemble.members.operators import check_last_step, check_not_random
from ensemble.members.signature import check_signature
from ensemble.records import MemberId

COMPOSED_OPSET: Final = 13
"""Members below this opset are converted to it; the graph around a member needs at least it."""

MAX_PROTOBUF: Final = 2**31 - 1
"""The most bytes of a graph in one piece."""

SIDECAR: Final = ".card.json"
_LFS: Final = b"version https://git-lfs"
_FOREIGN: Final = {b"ORTM": "ONNX Runtime's own format (.ort)", b"TFL3": "a TensorFlow Lite file"}
"""What stands at byte 4 of other files of nets."""


@dataclass(frozen=True, slots=True)
class Member:
    """An opened member: its file, its card, and the hash of every file that it is made of.

    `batch` is the size of its batch axis where the export froze it, else None. `converted` is
    True where the graph was brought up from an opset below 13, and must be compared with the
    original before it is used.
    """

    path: Path
    card: Card
    sha256: str
    model: onnx.ModelProto
    batch: int | None
    converted: bool = False

    @property
    def identity(self) -> MemberId:
        """Who it is."""
        return MemberId(self.card.name, self.card.family, self.card.fold, self.sha256)

    @property
    def folder(self) -> Path:
        """The folder in which external data lies."""
        return self.path.parent


def open_member(path: Path) -> Member:
    """Open a member and check everything that can be checked without running it.

    Raises:
        MemberError: the file, its card, its external data, opsets or input are not usable.
    """
    data = _read(path)
    model = _parse(data, path)
    external = external_files(model, path)
    card = _card_of(model, data, path)
    digests = {name: sha256_file(file) for name, file in external.items()}
    _check_recorded(card, path, digests)
    opset = check_opsets(model, path)
    model, batch = _held_against(model, card, path)
    parts = [sha256_bytes(data), *(f"{name}={digest}" for name, digest in digests.items())]
    sha256 = sha256_bytes("\n".join(parts).encode())
    member = Member(path, card, sha256, model, batch)
    if opset >= COMPOSED_OPSET:
        return member
    return replace(member, model=_convert(model, path), converted=True)


def with_external_data(member: Member) -> onnx.ModelProto:
    """Return a member's graph with its external data inside, and local functions written out.

    Raises:
        MemberError: it would be larger than protobuf can write.
    """
    beside = external_files(member.model, member.path).values()
    size = member.model.ByteSize() + sum(file.stat().st_size for file in beside)
    if size > MAX_PROTOBUF:
        raise MemberError(
            f"{member.path}: with its external data it has {size} bytes, and a graph to convert "
            f"has at most {MAX_PROTOBUF}. Use it as it is, with --precision fp32"
        )
    model = onnx.ModelProto()
    model.CopyFrom(member.model)
    onnx.external_data_helper.load_external_data_for_model(model, str(member.folder))
    return inline_local_functions(model) if model.functions else model


def embed_card(model: onnx.ModelProto, card: Card) -> None:
    """Write the card into the model's metadata, in place of one that is there."""
    kept = [p for p in model.metadata_props if p.key != cards.METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=cards.METADATA_KEY, value=cards.to_json(card))


def write_sidecar(path: Path, card: Card) -> Path:
    """Write a card beside a foreign .onnx file, with the hashes of the member's files.

    Raises:
        MemberError: the .onnx file is not usable, does not fit the card, or has a card inside.
    """
    data = _read(path)
    model = _parse(data, path)
    if _embedded(model) is not None:
        raise MemberError(f"{path}: it has a card inside, which counts; export it again instead")
    external = external_files(model, path)
    check_opsets(model, path)
    _held_against(model, card, path)
    files = {path.name: path, **external}
    hashes = {f"sha256:{name}": sha256_file(file) for name, file in files.items()}
    card = replace(card, source={**card.source, **hashes})
    target = path.with_name(path.name + SIDECAR)
    publish_bytes(target, (cards.to_json(card) + "\n").encode())
    return target


def read_graph(path: Path) -> onnx.ModelProto:
    """Read the graph of an .onnx file, which may have no card yet.

    Raises:
        MemberError: the file is not there, or no ONNX file.
    """
    return _parse(_read(path), path)


def _held_against(
    model: onnx.ModelProto, card: Card, path: Path
) -> tuple[onnx.ModelProto, int | None]:
    """Hold a graph against its card; return it with a float NCHW input, and its batch axis."""
    check_not_random(model, path)
    model = adapted(model, card, path)
    batch = check_signature(model, card, path)
    check_last_step(model, card, path)
    return model, batch


def _read(path: Path) -> bytes:
    if is_url(path):
        raise MemberError(f"{path}: a URL is not a member; download it first")
    try:
        if path.exists() and not path.is_file():
            raise MemberError(f"{path}: not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise MemberError(f"{path}: cannot read the member: {error.strerror}") from error
    if not data:
        raise MemberError(f"{path}: the member is empty (0 bytes)")
    if data.startswith(_LFS):
        raise MemberError(f"{path}: a git-lfs pointer, not the member. Run `git lfs pull`")
    if path.suffix in CHECKPOINTS:
        raise MemberError(f"{path}: a checkpoint, not a member: `ensemble export` makes one of it")
    if data[4:8] in _FOREIGN:
        raise MemberError(
            f"{path}: {_FOREIGN[data[4:8]]}, not ONNX: take the .onnx file that it was made of, or "
            f"convert the net to ONNX"
        )
    if data.lstrip()[:1] == b"<":
        raise MemberError(f"{path}: an HTML page, not an ONNX file. Download it again")
    return data


def _parse(data: bytes, path: Path) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise MemberError(f"{path}: truncated or not an ONNX file ({error})") from error
    check_text(model, path)
    if not model.graph.node or not model.opset_import:
        raise MemberError(f"{path}: truncated or not an ONNX file (it holds no graph)")
    drop_unused_domains(model)
    return model


def _card_of(model: onnx.ModelProto, data: bytes, path: Path) -> Card:
    sidecar = path.with_name(path.name + SIDECAR)
    inside = _embedded(model)
    if inside is not None and sidecar.exists():
        raise MemberError(f"{path}: it has a card inside, and {sidecar.name} beside: delete that")
    if inside is not None:
        return cards.from_json(inside, str(path))
    if any(entry.key == cards.PACKED_KEY for entry in model.metadata_props):
        raise MemberError(
            f"{path}: a packed ensemble, not a member: `ensemble pack` takes the members anew"
        )
    if not sidecar.is_file():
        raise MemberError(
            f"{path}: the member has no card, inside or as {sidecar.name}. Write one with "
            f"`ensemble inspect --write-card {path}` and flags that describe it"
        )
    card = cards.from_json(sidecar.read_bytes(), str(sidecar))
    recorded = card.source.get(f"sha256:{path.name}")
    if recorded is not None and recorded != sha256_bytes(data):
        raise MemberError(f"{path}: not the file that {sidecar.name} was written for (SHA-256)")
    return card


def _embedded(model: onnx.ModelProto) -> str | None:
    return next((p.value for p in model.metadata_props if p.key == cards.METADATA_KEY), None)


def _check_recorded(card: Card, path: Path, digests: Mapping[str, str]) -> None:
    for name, digest in digests.items():
        recorded = card.source.get(f"sha256:{name}")
        if recorded is None:
            raise MemberError(
                f"{path}: its card holds no SHA-256 of its external data {name}, so another "
                f"fold's weights could not be told. Export it as one file, or write the card anew "
                f"with `ensemble inspect --write-card`"
            )
        if recorded != digest:
            raise MemberError(
                f"{path}: {name} is not the file that its card was written for (SHA-256): "
                f"another fold's weights, perhaps"
            )


def _convert(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    try:
        return onnx.version_converter.convert_version(model, COMPOSED_OPSET)
    except (*TOOL_ERRORS, onnx.version_converter.ConvertError) as error:
        raise MemberError(
            f"{path}: cannot be brought to opset {COMPOSED_OPSET}: {str(error)[:200]}. Export it "
            f"again at opset 18"
        ) from error
