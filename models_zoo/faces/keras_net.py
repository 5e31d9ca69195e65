"""A Keras 2 net in HDF5 to ONNX: the layers of a MobileNetV2 with a head, and no others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

_OPSET: Final = 17
_ACTIVATIONS: Final = {"relu": "Relu", "softmax": "Softmax"}


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer: its settings, the layers whose outputs it takes, and its weights by name."""

    name: str
    kind: str
    config: Mapping[str, object]
    inputs: list[str]
    weights: Mapping[str, Floats]


class _Graph:
    """Nodes and weights of a graph that grows, in the order of the layers."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: object) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))


def onnx_of(path: Path) -> onnx.ModelProto:
    """Return the net with input `images` (N, 3, H, W) and its output `scores` (N, C).

    Raises:
        ValueError: a layer, or a setting of one, that is not known here.
    """
    layers = _read(path)
    graph = _Graph()
    for layer in layers[1:]:
        _WRITE.get(layer.kind, _unknown)(graph, layer)
    first, last = layers[0], layers[-1]
    height, width, channels = first.config["batch_input_shape"][1:]
    classes = last.config["units"]
    graph.nodes[-1].output[0] = "scores"
    for node in graph.nodes:
        node.input[:] = ["images" if name == first.name else name for name in node.input]
    inputs = helper.make_tensor_value_info(
        "images", TensorProto.FLOAT, ["N", channels, height, width]
    )
    outputs = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", classes])
    made = helper.make_graph(graph.nodes, path.stem, [inputs], [outputs], graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _read(path: Path) -> list[_Layer]:
    with h5py.File(path) as file:
        entries = json.loads(file.attrs["model_config"])["config"]["layers"]
        return [_layer(entry, file["model_weights"]) for entry in entries]


def _layer(entry: Mapping[str, object], groups: h5py.Group) -> _Layer:
    name, nodes = entry["name"], entry["inbound_nodes"]
    inputs = [source[0] for source in nodes[0]] if nodes else []
    return _Layer(name, entry["class_name"], entry["config"], inputs, _weights(groups[name]))


def _weights(group: h5py.Group) -> dict[str, Floats]:
    """Return the weights of a layer by their own names, such as kernel and bias."""
    names = [
        name if isinstance(name, str) else name.decode() for name in group.attrs["weight_names"]
    ]
    return {name.rpartition("/")[2].partition(":")[0]: np.asarray(group[name]) for name in names}


def _expect(layer: _Layer, **wanted: object) -> None:
    for name, value in wanted.items():
        if layer.config[name] != value:
            found = layer.config[name]
            raise ValueError(f"{layer.name}: expected {name} {value!r}, found {found!r}")


def _unknown(_: _Graph, layer: _Layer) -> None:
    raise ValueError(f"{layer.name}: no way is known to write a layer {layer.kind}")


def _convolution(graph: _Graph, layer: _Layer) -> None:
    """Kernels are stored (height, width, in, out), depthwise ones (height, width, in, 1)."""
    _expect(layer, use_bias=False, activation="linear", dilation_rate=[1, 1],
            data_format="channels_last")  # fmt: skip
    depthwise = layer.kind == "DepthwiseConv2D"
    kernel = layer.weights["depthwise_kernel" if depthwise else "kernel"]
    kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    height, width = kernel.shape[2:]
    pads = [0, 0, 0, 0]
    if layer.config["padding"] == "same":
        if height % 2 == 0 or width % 2 == 0 or (layer.config["strides"] != [1, 1] and height > 1):
            raise ValueError(f"{layer.name}: the padding 'same' would not be even on both sides")
        pads = [height // 2, width // 2] * 2
    weight = graph.weight(f"{layer.name}/kernel", kernel)
    graph.add("Conv", [*layer.inputs, weight], layer.name, pads=pads,
              strides=layer.config["strides"], group=len(kernel) if depthwise else 1)  # fmt: skip


def _normalization(graph: _Graph, layer: _Layer) -> None:
    _expect(layer, axis=[3])
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = [graph.weight(f"{layer.name}/{name}", layer.weights[name]) for name in names]
    graph.add("BatchNormalization", [*layer.inputs, *weights], layer.name,
              epsilon=layer.config["epsilon"])  # fmt: skip


def _relu(graph: _Graph, layer: _Layer) -> None:
    _expect(layer, negative_slope=0.0, threshold=0.0)
    zero = graph.weight(f"{layer.name}/zero", np.float32(0))
    most = graph.weight(f"{layer.name}/most", np.float32(layer.config["max_value"]))
    graph.add("Clip", [*layer.inputs, zero, most], layer.name)


def _padding(graph: _Graph, layer: _Layer) -> None:
    (top, bottom), (left, right) = layer.config["padding"]
    pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    graph.add("Pad", [*layer.inputs, graph.weight(f"{layer.name}/pads", pads)], layer.name)


def _sum(graph: _Graph, layer: _Layer) -> None:
    graph.add("Add", layer.inputs, layer.name)


def _pooling(graph: _Graph, layer: _Layer) -> None:
    _expect(layer, padding="valid")
    graph.add("AveragePool", layer.inputs, layer.name, kernel_shape=layer.config["pool_size"],
              strides=layer.config["strides"])  # fmt: skip


def _flatten(graph: _Graph, layer: _Layer) -> None:
    """One place is left by then, so that channels first or last are one order."""
    graph.add("Flatten", layer.inputs, layer.name)


def _dropout(graph: _Graph, layer: _Layer) -> None:
    graph.add("Identity", layer.inputs, layer.name)


def _dense(graph: _Graph, layer: _Layer) -> None:
    weights = [graph.weight(f"{layer.name}/{name}", layer.weights[name])
               for name in ("kernel", "bias")]  # fmt: skip
    graph.add("Gemm", [*layer.inputs, *weights], f"{layer.name}/sum")
    kind = _ACTIVATIONS[str(layer.config["activation"])]
    graph.add(kind, [f"{layer.name}/sum"], layer.name)


_WRITE: Final = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "BatchNormalization": _normalization,
    "ReLU": _relu,
    "ZeroPadding2D": _padding,
    "Add": _sum,
    "AveragePooling2D": _pooling,
    "Flatten": _flatten,
    "Dropout": _dropout,
    "Dense": _dense,
}
