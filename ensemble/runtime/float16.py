"""A graph to float16, by the converter that ONNX Runtime ships. No judgement here.

Only the member's own nodes are converted. What stands around them in a composed graph, the
normalisation, the activation and the merge, stays float32: it costs next to nothing.
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from ensemble.errors import MemberError
from ensemble.members.onnx_checks import TOOL_ERRORS

_QUANTISED: Final = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
_MAX: Final = float(np.finfo(np.float16).max)
_OVERFLOWS: Final = f"overflows float16, which ends at {_MAX:.0f}"
_REMEDY: Final = "Use --precision fp32"


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph with float16 in place of float32, its input and outputs too.

    Operators that have no float16 keep float32, between casts.

    Args:
        model: The graph, with its external data inside and without local functions; it stays as
            it is.

    Raises:
        MemberError: the graph is quantised, a weight is beyond float16, or the converter refuses.
    """
    if is_quantised(model):
        raise MemberError(f"it is quantised, and has no float16. {_REMEDY}")
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and _largest(tensor) > _MAX:
            raise MemberError(f"its weight {tensor.name!r} {_OVERFLOWS}. {_REMEDY}")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        return _converter()(copy)
    except TOOL_ERRORS as error:
        raise MemberError(
            f"ONNX Runtime cannot convert it to float16: {str(error)[:200]}. {_REMEDY}"
        ) from error


def is_quantised(model: onnx.ModelProto) -> bool:
    """Tell whether a graph computes in integers."""
    return any(node.op_type in _QUANTISED for node in model.graph.node)


def _largest(tensor: TensorProto) -> float:
    values = abs(numpy_helper.to_array(tensor))
    return float(values[np.isfinite(values)].max(initial=0))


def _converter() -> Callable[[onnx.ModelProto], onnx.ModelProto]:
    from onnxruntime.transformers import float16  # noqa: PLC0415  # for float16 only

    with contextlib.suppress(ValueError):  # the package adds its folder, full of common names
        sys.path.remove(str(Path(float16.__file__).parent))
    return cast(Callable[[onnx.ModelProto], onnx.ModelProto], float16.convert_float_to_float16)
