"""Opening members: an .onnx file, its card and its weights, checked before any image is read.

The file is untrusted: see `protos` for what it may hold. Every file of a member is hashed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto
from onnx.inliner import inline_local_functions

from ensemble.errors import MemberError
from ensemble.files.atomic import publish_bytes, sha256_bytes, sha256_file
from ensemble.files.paths import CHECKPOINTS, is_url
from ensemble.members import card as cards
from ensemble.members.card import Card
from ensemble.members.onnx_checks import TOOL_ERRORS, check_opsets, check_text, external_files
from ensemble.records import MemberId

COMPOSED_OPSET: Final = 13
"""Members below this opset are converted to it; the graph around a member needs at least it."""

MAX_BATCH: Final = 4096
"""The largest batch axis that an export may have frozen."""

MAX_PROTOBUF: Final = 2**31 - 1
"""The most bytes of a graph in one piece."""

SIDECAR: Final = ".card.json"
_LFS: Final = b"version https://git-lfs"


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
    opset, batch = _check_model(model, card, path)
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
    _check_model(model, card, path)
    files = {path.name: path, **external}
    hashes = {f"sha256:{name}": sha256_file(file) for name, file in files.items()}
    card = replace(card, source={**card.source, **hashes})
    target = path.with_name(path.name + SIDECAR)
    publish_bytes(target, (cards.to_json(card) + "\n").encode())
    return target


def input_of(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """Return the one input that is not an initializer; see `open_member` for the checks."""
    return _inputs(model)[0]


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    held = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in held]


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
    return model


def _card_of(model: onnx.ModelProto, data: bytes, path: Path) -> Card:
    sidecar = path.with_name(path.name + SIDECAR)
    inside = _embedded(model)
    if inside is not None and sidecar.exists():
        raise MemberError(f"{path}: it has a card inside, and {sidecar.name} beside: delete that")
    if inside is not None:
        return cards.from_json(inside, str(path))
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


def _check_model(model: onnx.ModelProto, card: Card, path: Path) -> tuple[int, int | None]:
    """Check a graph by itself and against its card; return its opset and its batch axis."""
    opset = check_opsets(model, path)
    batch = _check_input(model, card, path)
    _check_outputs(model, card, path)
    return opset, batch


def _check_input(model: onnx.ModelProto, card: Card, path: Path) -> int | None:
    """Check that the one input takes the card's images; return its batch axis, if it is frozen."""
    inputs = _inputs(model)
    if len(inputs) != 1:
        names = [i.name for i in inputs]
        raise MemberError(f"{path}: expected one input, an image; found {names}")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        kind = dict(map(reversed, TensorProto.DataType.items())).get(tensor.elem_type, "unknown")
        raise MemberError(f"{path}: its input is {kind}; expected FLOAT or FLOAT16, NCHW")
    dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    _check_shape(dims, card, path)
    if dims[0] is not None and not 1 <= dims[0] <= MAX_BATCH:
        raise MemberError(f"{path}: its batch axis is {dims[0]}; expected 1 to {MAX_BATCH}")
    return dims[0]


def _check_shape(dims: Sequence[int | None], card: Card, path: Path) -> None:
    """Check the sides of an input, None where any will do, against the card's."""
    pre = card.preprocess
    sides = (None, None) if card.dynamic_size else (pre.size.height, pre.size.width)
    expected = (None, len(pre.mean), *sides)
    fits = len(dims) == len(expected) and all(
        None in pair or pair[0] == pair[1] for pair in zip(dims, expected, strict=True)
    )
    if not fits:
        raise MemberError(
            f"{path}: its input is {_joined(dims, '?' * len(dims))}; its card says "
            f"{_joined(expected, 'NCHW')} (NCHW)"
        )


def _joined(dims: Sequence[int | None], free: str) -> str:
    """Write a shape; an axis of any size is its letter of `free`."""
    return "x".join(letter if d is None else str(d) for d, letter in zip(dims, free, strict=True))


def _check_outputs(model: onnx.ModelProto, card: Card, path: Path) -> None:
    outputs = {o.name: o for o in model.graph.output}
    for head in card.heads:
        if head.output not in outputs:
            known = ", ".join(outputs)
            raise MemberError(f"{path}: no output {head.output!r}; the file has: {known}")
        dims = outputs[head.output].type.tensor_type.shape.dim
        columns = dims[1].dim_value if len(dims) == 2 else 0
        if columns and columns != len(head.classes):
            raise MemberError(
                f"{path}: output {head.output!r} has {columns} columns; head {head.name!r} of "
                f"its card has {len(head.classes)} classes"
            )


def _convert(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    try:
        return onnx.version_converter.convert_version(model, COMPOSED_OPSET)
    except (*TOOL_ERRORS, onnx.version_converter.ConvertError) as error:
        raise MemberError(
            f"{path}: cannot be brought to opset {COMPOSED_OPSET}: {str(error)[:200]}. Export it "
            f"again at opset 18"
        ) from error
