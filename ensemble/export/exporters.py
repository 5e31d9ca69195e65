"""Torch's two exporters to ONNX: the one that reads the program, and the one that traces it."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import onnx
import torch
from torch import Tensor, nn

from ensemble.errors import MemberError
from ensemble.export.nets import in_order
from ensemble.export.torch_errors import root_cause

INPUT: Final = "image"
OPSET: Final = 18
MAX_IR: Final = 10
_ONE_FILE: Final = 1_900_000_000

Exporter: TypeAlias = Literal["dynamo", "torchscript"]
EXPORTERS: Final[tuple[Exporter, ...]] = ("dynamo", "torchscript")
"""In the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is exported: a net of heads by name, on images like these, (N, C, H, W) float32."""

    net: nn.Module
    heads: tuple[str, ...]
    images: Tensor
    dynamic_size: bool


class _Heads(nn.Module):
    """A net whose outputs come as a tuple, in the order of the heads."""

    def __init__(self, net: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.net = net
        self.names = tuple(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return in_order(self.net(image), self.names)


def to_graph(order: Order, exporter: Exporter, path: Path) -> tuple[onnx.ModelProto, Path | None]:
    """Export a net, without traces of this machine; above 2 GB its weights lie beside.

    Args:
        order: What is exported.
        exporter: Which of torch's exporters does it.
        path: Where the graph may be written; weights that lie beside it are called after it.

    Returns:
        The graph, and the file of its weights where they lie beside.

    Raises:
        MemberError: the exporter refuses the net; quotes the error from which it came.
    """
    large = sum(tensor.nbytes for tensor in order.net.state_dict().values()) > _ONE_FILE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch's exporters and their helpers retire
            model, data = _WAYS[exporter](order, path, large)
    except Exception as error:  # exporters run the net's own code, and may raise anything
        raise MemberError(root_cause(error)) from error
    model.ir_version = min(model.ir_version, MAX_IR)
    _forget_origin(model.graph)
    return model, data


def _by_dynamo(order: Order, path: Path, large: bool) -> tuple[onnx.ModelProto, Path | None]:
    dynamic = {axis: torch.export.Dim(name) for axis, name in _axes(order).items()}
    program = torch.onnx.export(
        _Heads(order.net, order.heads).eval(),
        (order.images,),
        input_names=[INPUT],
        output_names=list(order.heads),
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=(dynamic,),
        external_data=False,
        verbose=False,
    )
    if not large:
        return program.model_proto, None
    program.save(path, external_data=True)
    return onnx.load(path, load_external_data=False), path.with_name(f"{path.name}.data")


def _by_tracing(order: Order, path: Path, large: bool) -> tuple[onnx.ModelProto, Path | None]:
    traced = path.with_name("traced")
    traced.mkdir(exist_ok=True)
    torch.onnx.export(
        _Heads(order.net, order.heads).eval(),
        (order.images,),
        str(traced / path.name),
        input_names=[INPUT],
        output_names=list(order.heads),
        opset_version=OPSET,
        dynamo=False,
        dynamic_axes={INPUT: _axes(order), **{head: {0: "batch"} for head in order.heads}},
    )
    model = onnx.load(traced / path.name)
    if not large:
        return model, None
    beside = path.with_name(f"{path.name}.data")
    onnx.save_model(model, path, save_as_external_data=True, location=beside.name, size_threshold=0)
    return onnx.load(path, load_external_data=False), beside


_WAYS: Final[
    Mapping[Exporter, Callable[[Order, Path, bool], tuple[onnx.ModelProto, Path | None]]]
] = {"dynamo": _by_dynamo, "torchscript": _by_tracing}


def _axes(order: Order) -> dict[int, str]:
    return {0: "batch"} | ({2: "height", 3: "width"} if order.dynamic_size else {})


def _forget_origin(graph: onnx.GraphProto) -> None:
    """Drop the stack traces that the exporters leave, with the paths of the machine."""
    parts = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for part in (graph, *(item for items in parts for item in items)):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    _forget_origin(inner)
