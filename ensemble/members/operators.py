"""What a member's graph does, told by its operators: chance, statistics of a batch, its last step.

Only what reaches an output counts: a file may hold nodes that nothing reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from ensemble.errors import MemberError
from ensemble.members.card import Card, Head
from ensemble.members.onnx_checks import nodes_below
from ensemble.records import TASKS, Activation, Task

LastStep: TypeAlias = Literal["softmax", "sigmoid", "log_softmax", ""]
"""What the last operator that computes makes of an output; "" where it makes no probabilities."""

_RANDOM: Final = frozenset((
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
    "Multinomial",
))  # fmt: skip
_DYNAMIC: Final = frozenset(
    ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
)
_LAST: Final[dict[str, LastStep]] = {
    "Softmax": "softmax", "QLinearSoftmax": "softmax", "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid", "HardSigmoid": "sigmoid", "LogSoftmax": "log_softmax",
}  # fmt: skip
_AFTER: Final[dict[LastStep, tuple[Activation, ...]]] = {
    "softmax": ("none",), "sigmoid": ("none",), "log_softmax": ("exp", "softmax"),
    "": ("softmax", "sigmoid", "exp", "none"),
}  # fmt: skip
"""What may follow a last step; a softmax of log probabilities gives the probabilities too."""

_THROUGH: Final = frozenset((
    "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "QuantizeLinear",
    "DequantizeLinear", "Clip", "Dropout", "Transpose", "Slice", "Split", "Gather",
))  # fmt: skip
"""Operators that leave what an output means as it is; Concat does where all its inputs agree."""


def check_not_random(model: ModelProto, path: Path) -> None:
    """Check that a member gives the same for the same image.

    Raises:
        MemberError: an operator that reaches an output is random; says which, and what to do.
    """
    constants = _constants(model)
    found = [node.op_type for node in _used(model) if _is_random(node, constants)]
    if not found:
        return
    if "Dropout" in found:
        raise MemberError(
            f"{path}: its Dropout is in training mode, or may be by what the graph computes, so "
            f"the same image gets another prediction each time. Export it again after net.eval(), "
            f"with training=TrainingMode.EVAL"
        )
    raise MemberError(
        f"{path}: its {found[0]} is random, so the same image gets another prediction each time. "
        f"Take what draws at random out of the net's forward, and export it again"
    )


def batch_statistics(model: ModelProto) -> str:
    """Say what makes a prediction depend on the rest of its batch, and what to do; "" if nothing.

    Told by operators alone: a net may also compute such statistics from plain sums, which only a
    probe shows.
    """
    used = list(_used(model))
    if any(node.op_type == "BatchNormalization" and _trains(node) for node in used):
        return (
            "its BatchNormalization takes the statistics of the batch: export it again after "
            "net.eval(), from a net whose track_running_stats is not False"
        )
    if any(node.op_type in _DYNAMIC for node in used):
        return (
            "it is quantised dynamically, by the range of the whole batch: quantise it statically "
            "(`ensemble quantize`), or use the float32 member"
        )
    return ""


def check_last_step(model: ModelProto, card: Card, path: Path) -> None:
    """Check that no head's card asks for an activation that the graph has applied already.

    Raises:
        MemberError: it does: softmax or sigmoid would be applied twice.
    """
    for head in card.heads:
        rules, last = TASKS[head.task], last_step(model, head.output)
        if not rules.bounded or head.activation in _AFTER[last]:
            continue
        right = [name for name in _AFTER[last] if name in rules.activations][:1]
        suits = last == rules.activations[0] or (last == "log_softmax" and rules.single)
        remedy = (
            f"say --activation {right[0]}, at the export or with inspect --write-card"
            if suits and right
            else "its task is another: a softmax is classification, sigmoids are multilabel, both "
            "with --activation none"
        )
        raise MemberError(
            f"{path}: output {head.output!r} comes from a {last} in the graph, and its card says "
            f"activation {head.activation!r} for head {head.name!r}, on top of that: {remedy}"
        )


def activation_of(model: ModelProto, output: str, task: Task) -> Activation:
    """Return what an output needs to become probabilities, by its last operator."""
    rules = TASKS[task]
    if not rules.bounded:
        return rules.activations[0]
    suited = [name for name in _AFTER[last_step(model, output)] if name in rules.activations]
    return suited[0] if suited else rules.activations[0]


def with_activations(heads: Sequence[Head], model: ModelProto) -> tuple[Head, ...]:
    """Let each head's activation be what is left to do after the graph's last operator."""
    return tuple(
        replace(head, activation=activation_of(model, head.output, head.task)) for head in heads
    )


def last_step(model: ModelProto, output: str) -> LastStep:
    """Tell what an output's last operator makes of it, through casts, reshapes and joined parts."""
    makers = {name: node for node in model.graph.node for name in node.output}
    steps: set[LastStep] = set()
    seen, behind = {output}, [output]  # each tensor once: a hostile file may hold a circle
    while behind:
        node = makers.get(behind.pop())
        if node is None or node.op_type not in (*_THROUGH, "Concat"):
            steps.add("" if node is None else _LAST.get(node.op_type, ""))
            continue
        parts = node.input if node.op_type == "Concat" else node.input[:1]
        behind += set(parts) - seen
        seen.update(parts)
    return steps.pop() if len(steps) == 1 else ""


def _used(model: ModelProto) -> Iterator[NodeProto]:
    """The nodes that reach an output, with those of graphs inside them and of functions."""
    makers = {name: i for i, node in enumerate(model.graph.node) for name in node.output if name}
    waiting = [output.name for output in model.graph.output]
    seen: set[int] = set()
    while waiting:
        number = makers.get(waiting.pop())
        if number is None or number in seen:
            continue
        seen.add(number)
        for node in nodes_below([model.graph.node[number]]):
            yield node
            waiting.extend(node.input)
            waiting.extend(_inner_outputs(node))
    for function in model.functions:
        yield from nodes_below(function.node)


def _inner_outputs(node: NodeProto) -> Iterator[str]:
    """What graphs inside a node give, which may be a tensor of the graph around them."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (output.name for output in graph.output)


def _constants(model: ModelProto) -> dict[str, TensorProto]:
    """Small tensors that are fixed, by name: those that switch an operator's mode."""
    found = {t.name: t for t in model.graph.initializer}
    for node in _used(model):
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                found |= {t.name: t for t in graph.initializer}
            if node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = attribute.t
    return found


def _is_random(node: NodeProto, constants: dict[str, TensorProto]) -> bool:
    if node.op_type in _RANDOM:
        return True
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    mode = constants.get(node.input[2])
    return mode is None or bool(numpy_helper.to_array(mode).any())


def _trains(node: NodeProto) -> bool:
    return any(a.name == "training_mode" and a.i for a in node.attribute)
