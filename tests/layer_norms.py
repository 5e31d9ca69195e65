"""A layer norm that float16 ruins: squares of its input are beyond it, and so is its epsilon."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from toys import save_member, toy_card

from ensemble.records import Size

BIAS = np.array([1, 0, -1], np.float32)


def layer_norm(*, one_operator: bool) -> onnx.ModelProto:
    """Pixels (N, 3, 16, 16) times 100, normalised with an epsilon of 1e-12, then a linear layer.

    In float16 a square of 300 is infinite, what is divided by it 0, and the logits are the bias.
    """
    rng = np.random.default_rng(0)
    numbers = {
        "rows": np.array([0, -1]), "scale": np.float32(100), "axis": np.array([-1]),
        "two": np.float32(2), "eps": np.float32(1e-12), "ones": np.ones(768, np.float32),
        "matrix": rng.normal(0, 768**-0.5, (768, 3)).astype(np.float32), "bias": BIAS,
    }  # fmt: skip
    norm = [helper.make_node("LayerNormalization", ["x", "ones"], ["y"], epsilon=1e-12)]
    steps = [
        helper.make_node("ReduceMean", ["x", "axis"], ["mean"]),
        helper.make_node("Sub", ["x", "mean"], ["off"]),
        helper.make_node("Pow", ["off", "two"], ["square"]),
        helper.make_node("ReduceMean", ["square", "axis"], ["variance"]),
        helper.make_node("Add", ["variance", "eps"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["deviation"]),
        helper.make_node("Div", ["off", "deviation"], ["y"]),
    ]
    nodes = [
        helper.make_node("Reshape", ["image", "rows"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["x"]),
        *(norm if one_operator else steps),
        helper.make_node("MatMul", ["y", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "norm",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(value, n) for n, value in numbers.items() if n in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    return model


def save_layer_norm(folder: Path, *, one_operator: bool) -> Path:
    """Write it as a member."""
    return save_member(folder, toy_card(size=Size(16, 16)), layer_norm(one_operator=one_operator))
