"""What an ONNX file is made of: its versions, its nodes, and the files of its external data.

The file is untrusted. It is parsed without following its external data; those may only be
regular files beside it. Opsets and operator domains are checked here, so that what reaches ONNX
Runtime is known.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, TypeAlias

import onnx
from google.protobuf.message import Message
from onnx import TensorProto
from onnx.external_data_helper import uses_external_data

from ensemble.errors import MemberError

MAX_OPSET: Final = 26
MAX_IR: Final = 13
MIN_OPSET: Final = 7
DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
TOOL_ERRORS: Final = (
    AssertionError, AttributeError, RuntimeError, ValueError, TypeError, LookupError, MemoryError,
    onnx.checker.ValidationError, onnx.shape_inference.InferenceError,
)  # fmt: skip
"""What tools written in Python raise of a graph that they did not expect."""

MAX_NODES: Final = 1_000_000
"""The most nodes of a member whose local functions are written out, as ONNX Runtime does."""

_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_ODD: Final = frozenset("\\*\0")
"""What no location holds: ONNX Runtime reads addresses of memory from some with a `*`."""

_Key: TypeAlias = tuple[str, str, str]


def check_opsets(model: onnx.ModelProto, path: Path) -> int:
    """Return the opset of the standard operators.

    Raises:
        MemberError: an opset or IR too new or too old, operators of a foreign domain, or functions
            that call themselves or grow beyond `MAX_NODES`.
    """
    _check_functions(model, path)
    if model.ir_version > MAX_IR:
        raise MemberError(
            f"{path}: ONNX IR version {model.ir_version}; up to {MAX_IR} is known. Export it "
            f"again with an older IR, or update onnxruntime"
        )
    _check_domains(model, path)
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise MemberError(
            f"{path}: opset {opset}; expected {MIN_OPSET} to {MAX_OPSET}. Export it again, "
            f"at opset 18 for instance"
        )
    return opset


def _check_domains(model: onnx.ModelProto, path: Path) -> None:
    """Refuse operators, or functions, of a domain that is not run."""
    foreign = sorted(_used_domains(model) - set(DOMAINS))
    if foreign:
        raise MemberError(
            f"{path}: operators of the domain {', '.join(foreign)}; only {', '.join(DOMAINS[1:])} "
            f"and the standard ones are run{_for_one_processor(foreign)}"
        )


def drop_unused_domains(model: onnx.ModelProto) -> None:
    """Forget the opsets of foreign domains of which no operator is used.

    ONNX Runtime declares a dozen in each file that it saves; other tools refuse them.
    """
    used = _used_domains(model) | set(DOMAINS)
    for holder in (model, *model.functions):
        kept = [opset for opset in holder.opset_import if opset.domain in used]
        del holder.opset_import[:]
        holder.opset_import.extend(kept)


def _used_domains(model: onnx.ModelProto) -> set[str]:
    return {n.domain for n in _nodes(model)} | {f.domain for f in model.functions}


def _for_one_processor(domains: list[str]) -> str:
    if "com.microsoft.nchwc" not in domains:
        return ""
    return (
        ". ONNX Runtime optimised this file for one kind of processor: take the original, or save "
        "it with graph_optimization_level ORT_ENABLE_EXTENDED at most"
    )


def check_text(model: onnx.ModelProto, path: Path) -> None:
    """Check that every text is UTF-8: protobuf parses others, and gives bytes where text is due.

    Raises:
        MemberError: a text is not.
    """
    waiting: list[Message] = [model]
    while waiting:
        message = waiting.pop()
        for field, value in message.ListFields():
            values = [value] if isinstance(value, Message | str | bytes) else value
            if field.message_type is not None:
                waiting.extend(values)
            elif field.type == field.TYPE_STRING and not all(isinstance(v, str) for v in values):
                raise MemberError(f"{path}: damaged: a {field.name} is not UTF-8. Copy it again")


def external_files(model: onnx.ModelProto, path: Path) -> dict[str, Path]:
    """Return the files of external data, by the place that the member names.

    Raises:
        MemberError: a file is missing, cut short, a link, or outside the member's folder.
    """
    found: dict[str, Path] = {}
    for tensor in _tensors(model):
        if not uses_external_data(tensor):
            continue
        location, end = _place_of(tensor, path)
        data = found.get(location) or _external_file(path, location)
        size = data.stat().st_size
        if end > size:
            raise MemberError(
                f"{path}: external data {location} has {size} bytes; {tensor.name} ends "
                f"at {end}. The file is cut short: copy it again"
            )
        found[location] = data
    return {name: found[name] for name in sorted(found)}


def _place_of(tensor: TensorProto, path: Path) -> tuple[str, int]:
    """Return the file of a tensor's external data, and where in it the tensor ends."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    numbers = [entries.get(key, "0") for key in ("offset", "length")]
    if len(entries) < len(tensor.external_data) or not all(map(_WHOLE.fullmatch, numbers)):
        raise MemberError(
            f"{path}: external data of {tensor.name}: expected a location, and an offset and a "
            f"length from 0; found {dict(list(entries.items())[:5])}. Export it again"
        )
    return entries.get("location", ""), sum(map(int, numbers))


def external_names(model: onnx.ModelProto, path: Path) -> list[str]:
    """Return the places of external data that a member names, be there files or not.

    Raises:
        MemberError: one lies outside the member's folder.
    """
    tensors = filter(uses_external_data, _tensors(model))
    names = sorted({_place_of(tensor, path)[0] for tensor in tensors})
    for name in names:
        _check_inside(path, name)
    return names


def _check_inside(path: Path, location: str) -> None:
    relative = Path(location)
    if not location or relative.is_absolute() or ".." in relative.parts or set(location) & _ODD:
        raise MemberError(f"{path}: external data {location!r} lies outside the member's folder")


def _external_file(path: Path, location: str) -> Path:
    _check_inside(path, location)
    data = path.parent / location
    try:
        status = os.lstat(data)
    except OSError as error:
        raise MemberError(
            f"{path}: external data {location} is missing. Copy it beside the member"
        ) from error
    inside = data.resolve().is_relative_to(path.parent.resolve())
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not inside:
        raise MemberError(
            f"{path}: external data {location} must be a regular file with one link inside the "
            f"member's folder"
        )
    return data


def _check_functions(model: onnx.ModelProto, path: Path) -> None:
    """Refuse functions that call themselves, or that grow without bound when written out."""
    calls = {(f.domain, f.name, f.overload): _calls(f.node) for f in model.functions}
    sizes: dict[_Key, int] = {}
    try:
        for key in TopologicalSorter(_among(calls)).static_order():
            sizes[key] = _written_out(calls[key], sizes)
    except CycleError as error:
        name = error.args[1][0][1]
        raise MemberError(f"{path}: its function {name} calls itself. Export it again") from error
    if max([_written_out(_calls(model.graph.node), sizes), *sizes.values()]) > MAX_NODES:
        raise MemberError(
            f"{path}: over {MAX_NODES} nodes once its functions are written out. Export it again"
        )


def _calls(nodes: Iterable[onnx.NodeProto]) -> Counter[_Key]:
    """Count what nodes, and those of the graphs inside them, call: operators and functions."""
    return Counter((n.domain, n.op_type, n.overload) for n in nodes_below(nodes))


def _among(calls: Mapping[_Key, Counter[_Key]]) -> dict[_Key, set[_Key]]:
    """Return which of the functions each of them calls."""
    return {key: calls.keys() & called.keys() for key, called in calls.items()}


def _written_out(called: Counter[_Key], sizes: Mapping[_Key, int]) -> int:
    """Count nodes once functions are written out; beyond `MAX_NODES` it does not matter."""
    return min(sum(sizes.get(key, 1) * n for key, n in called.items()), MAX_NODES + 1)


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node: of the graph, of local functions, and of the graphs inside both."""
    yield from nodes_below(model.graph.node)
    for function in model.functions:
        yield from nodes_below(function.node)
        for graph in _graphs(function.attribute_proto):
            yield from nodes_below(graph.node)


def nodes_below(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes, and those of the graphs inside them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for graph in _graphs(node.attribute):
            waiting.extend(graph.node)


def _graphs(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.GraphProto]:
    for attribute in attributes:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every tensor that may have external data."""
    graphs = [model.graph]
    holders = [n.attribute for n in _nodes(model)] + [f.attribute_proto for f in model.functions]
    for attributes in holders:
        graphs.extend(_graphs(attributes))
        for attribute in attributes:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
