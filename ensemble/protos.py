"""What an ONNX file is made of: its versions, its nodes, and the files of its external data.

The file is untrusted. It is parsed without following its external data; those may only be
regular files beside it. Opsets and operator domains are checked here, so that what reaches ONNX
Runtime is known.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import onnx
from onnx import TensorProto
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from ensemble.errors import MemberError

MAX_OPSET: Final = 26
MAX_IR: Final = 13
MIN_OPSET: Final = 7
DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


def check_opsets(model: onnx.ModelProto, path: Path) -> int:
    """Return the opset of the standard operators.

    Raises:
        MemberError: an opset or IR too new or too old, or operators of a foreign domain.
    """
    if model.ir_version > MAX_IR:
        raise MemberError(
            f"{path}: ONNX IR version {model.ir_version}; up to {MAX_IR} is known. Export it "
            f"again with an older IR, or update onnxruntime"
        )
    imports = [*model.opset_import, *(o for f in model.functions for o in f.opset_import)]
    domains = {o.domain for o in imports} | {n.domain for n in _nodes(model)}
    foreign = sorted(domains - set(DOMAINS))
    if foreign:
        raise MemberError(
            f"{path}: operators of the domain {', '.join(foreign)}; only {', '.join(DOMAINS[1:])} "
            f"and the standard ones are run"
        )
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise MemberError(
            f"{path}: opset {opset}; expected {MIN_OPSET} to {MAX_OPSET}. Export it again, "
            f"at opset 18 for instance"
        )
    return opset


def external_files(model: onnx.ModelProto, path: Path) -> dict[str, Path]:
    """Return the files of external data, by the place that the member names.

    Raises:
        MemberError: a file is missing, cut short, a link, or outside the member's folder.
    """
    found: dict[str, Path] = {}
    for tensor in _tensors(model):
        if not uses_external_data(tensor):
            continue
        info = ExternalDataInfo(tensor)
        data = found.get(info.location) or _external_file(path, info.location)
        end = (info.offset or 0) + (info.length or 0)
        size = data.stat().st_size
        if end > size:
            raise MemberError(
                f"{path}: external data {info.location} has {size} bytes; {tensor.name} ends "
                f"at {end}. The file is cut short: copy it again"
            )
        found[info.location] = data
    return {name: found[name] for name in sorted(found)}


def _external_file(path: Path, location: str) -> Path:
    relative = Path(location)
    if not location or relative.is_absolute() or ".." in relative.parts or "\\" in location:
        raise MemberError(f"{path}: external data {location!r} lies outside the member's folder")
    data = path.parent / relative
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


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node: of the graph, of local functions, and of the graphs inside both."""
    waiting = [*model.graph.node, *(node for f in model.functions for node in f.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for graph in _inner(node):
            waiting.extend(graph.node)


def _inner(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every tensor that may have external data."""
    graphs = [model.graph]
    for node in _nodes(model):
        graphs.extend(_inner(node))
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
