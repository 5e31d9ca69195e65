"""Nodes behind a member: its activation, and how the views of an image become one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ensemble.errors import MemberError
from ensemble.members.card import Head
from ensemble.records import TASKS, Merge

_TINY: Final = 1e-38


def check_merge(head: Head, merge: Merge, n_views: int = 1) -> None:
    """Check that a merge of so many views has a meaning for a head.

    Raises:
        MemberError: a regression merged by anything but the mean, `logits` asked of a head whose
            outputs are probabilities already, or boxes in several views.
    """
    if head.boxes and n_views > 1:
        raise MemberError(f"head {head.name!r} gives boxes: it takes the image as it is, no views")
    if merge not in TASKS[head.task].merges:
        raise MemberError(f"head {head.name!r} is a {head.task}: its views merge by mean only")
    if merge == "logits" and head.activation == "none":
        raise MemberError(
            f"head {head.name!r} gives probabilities, not logits: it cannot merge by logits"
        )


@dataclass(slots=True)
class Builder:
    """Collects nodes and constants under names that no member uses."""

    prefix: str
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def op(self, kind: str, *inputs: str, **attributes: int) -> str:
        output = f"{self.prefix}/{kind}_{len(self.nodes)}"
        node = helper.make_node(kind, list(inputs), [output], name=output)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self.nodes.append(node)
        return output

    def transpose(self, tensor: str, axes: Sequence[int]) -> str:
        output = f"{self.prefix}/Transpose_{len(self.nodes)}"
        node = helper.make_node("Transpose", [tensor], [output], name=output, perm=list(axes))
        self.nodes.append(node)
        return output

    def name(self, tensor: str, output: str) -> None:
        self.nodes.append(helper.make_node("Identity", [tensor], [output], name=output))

    def constant(self, array: NDArray[np.generic]) -> str:
        name = f"{self.prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def cut(self, tensor: str, axis: int, start: int, stop: int, step: int = 1) -> str:
        bounds = [self.integers(v) for v in (start, stop, axis, step)]
        return self.op("Slice", tensor, *bounds)


def in_order(build: Builder, tensors: Sequence[str], order: Sequence[int]) -> str:
    joined = build.op("Concat", *tensors, axis=0) if len(tensors) > 1 else tensors[0]
    if list(order) == sorted(order):
        return joined
    return build.op("Gather", joined, build.integers(*np.argsort(order).tolist()), axis=0)


def activated(build: Builder, tensor: str, head: Head) -> str:
    match head.activation:
        case "softmax":
            return build.op("Softmax", tensor, axis=-1)
        case "sigmoid":
            return build.op("Sigmoid", tensor)
        case "exp":
            return build.op("Exp", tensor)
    return tensor


def merged(build: Builder, raw: str, head: Head, merge: Merge, n_views: int) -> str:
    """Merge (V, N, C) to (N, C). One view merges to itself, whatever the merge."""
    if n_views == 1:
        return activated(build, _flat(build, raw), head)
    if merge == "logits":
        mean = _mean(build, raw, n_views)  # of log probabilities, it no longer sums to 1
        exp = head.activation == "exp"
        return build.op("Softmax", mean, axis=-1) if exp else activated(build, mean, head)
    if merge == "gmean":
        return _geometric(build, raw, head, n_views)
    probs = activated(build, raw, head)
    if merge == "mean":
        return _mean(build, probs, n_views)
    if merge == "tsharpen":
        merged = _mean(build, build.op("Sqrt", probs), n_views)
    else:
        rows = [_flat(build, build.cut(probs, 0, v, v + 1)) for v in range(n_views)]
        merged = build.op("Max" if merge == "max" else "Min", *rows)
    return _renormalised(build, merged) if TASKS[head.task].single else merged


def guarded(build: Builder, probs: str, raw: str) -> str:
    """Make a row NaN where the member gave NaN or infinity, which an activation may hide."""
    nothing = build.op("Mul", raw, build.number(0))  # 0, or NaN
    rows = build.op("ReduceSum", nothing, build.integers(0, 2), keepdims=0)
    return build.op("Add", probs, build.op("Unsqueeze", rows, build.integers(1)))


def _geometric(build: Builder, raw: str, head: Head, n_views: int) -> str:
    """The geometric mean in log space; over classes its renormalisation is a softmax."""
    if head.activation in ("softmax", "exp"):  # of log probabilities it is the identity
        logs = build.op("LogSoftmax", raw, axis=-1)
    else:
        probs = activated(build, raw, head)
        logs = build.op("Log", build.op("Max", probs, build.number(_TINY)))
    mean = _mean(build, logs, n_views)
    if TASKS[head.task].single:
        return build.op("Softmax", mean, axis=-1)
    return build.op("Exp", mean)


def _mean(build: Builder, tensor: str, n_views: int) -> str:
    total = build.op("ReduceSum", tensor, build.integers(0), keepdims=0)
    return build.op("Div", total, build.number(n_views))


def _renormalised(build: Builder, tensor: str) -> str:
    total = build.op("ReduceSum", tensor, build.integers(-1), keepdims=1)
    return build.op("Div", tensor, build.op("Max", total, build.number(_TINY)))


def _flat(build: Builder, tensor: str) -> str:
    return build.op("Squeeze", tensor, build.integers(0))
