"""What a graph does is told by the operators that reach its outputs."""

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from toys import toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.members.operators import (
    activation_of,
    batch_statistics,
    check_last_step,
    check_not_random,
    last_step,
    with_activations,
)
from ensemble.records import Activation, Task

HERE = Path("m.onnx")
TRUE, HALF = numpy_helper.from_array(np.array(True), "on"), np.float32(0.5)


def ending(*nodes: NodeProto) -> ModelProto:
    """A toy whose map gives "raw", and what comes after it."""
    model = toy_model(toy_card())
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([TRUE, numpy_helper.from_array(HALF, "half")])
    return model


def test_a_dropout_in_training_mode_is_refused() -> None:
    model = ending(helper.make_node("Dropout", ["raw", "half", "on"], ["logits"]))
    with pytest.raises(MemberError, match=r"m.onnx: its Dropout is in training mode.*net.eval"):
        check_not_random(model, HERE)


def test_a_dropout_switched_on_by_a_node_is_refused() -> None:
    on = helper.make_node("Constant", [], ["yes"], value=TRUE)
    model = ending(on, helper.make_node("Dropout", ["raw", "half", "yes"], ["logits"]))
    with pytest.raises(MemberError, match="Dropout"):
        check_not_random(model, HERE)


def test_a_dropout_whose_mode_is_computed_is_refused() -> None:
    """Off, turned by a Not: ONNX Runtime draws anew each time."""
    off = numpy_helper.from_array(np.array(False), "off")
    model = ending(helper.make_node("Not", ["off"], ["yes"]),
                   helper.make_node("Dropout", ["raw", "half", "yes"], ["logits"]))  # fmt: skip
    model.graph.initializer.append(off)
    with pytest.raises(MemberError, match="Dropout is in training mode, or may be by what the"):
        check_not_random(model, HERE)


def test_a_dropout_that_a_branch_switches_off_is_fine() -> None:
    def branch(name: str) -> object:
        node = helper.make_node("Dropout", ["raw", "half", f"off {name}"], [name])
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        off = numpy_helper.from_array(np.array(False), f"off {name}")
        return helper.make_graph([node], name, [], [info], [off])

    either = helper.make_node(
        "If", ["on"], ["logits"], then_branch=branch("a"), else_branch=branch("b")
    )
    check_not_random(ending(either), HERE)


def test_a_dropout_that_is_off_is_fine() -> None:
    check_not_random(ending(helper.make_node("Dropout", ["raw"], ["logits"])), HERE)
    check_not_random(ending(helper.make_node("Dropout", ["raw", "half"], ["logits"])), HERE)


@pytest.mark.parametrize("kind", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_chance_is_refused(kind: str) -> None:
    noise = helper.make_node(kind, ["raw"], ["noise"])
    model = ending(noise, helper.make_node("Add", ["raw", "noise"], ["logits"]))
    with pytest.raises(MemberError, match=f"its {kind} is random.*export it again"):
        check_not_random(model, HERE)


def test_chance_that_reaches_no_output_is_fine() -> None:
    noise = helper.make_node("RandomNormalLike", ["raw"], ["noise"])
    check_not_random(ending(noise, helper.make_node("Identity", ["raw"], ["logits"])), HERE)


def test_chance_inside_a_branch_is_refused() -> None:
    def branch(name: str) -> object:
        node = helper.make_node("RandomNormalLike", ["raw"], [name])
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([node], name, [], [info])

    either = helper.make_node(
        "If", ["on"], ["logits"], then_branch=branch("a"), else_branch=branch("b")
    )
    with pytest.raises(MemberError, match="RandomNormalLike"):
        check_not_random(ending(either), HERE)


def test_a_batch_normalisation_in_training_mode_is_told() -> None:
    inputs = ["raw", *"abcd"]
    node = helper.make_node("BatchNormalization", inputs, ["logits", "m", "v"], training_mode=1)
    assert "net.eval()" in batch_statistics(ending(node))
    assert (
        batch_statistics(ending(helper.make_node("BatchNormalization", inputs, ["logits"]))) == ""
    )


def test_a_range_of_the_whole_batch_is_told() -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["raw"], ["logits", "s", "z"])
    assert "dynamically" in batch_statistics(ending(node))


@pytest.mark.parametrize(
    ("kinds", "step"),
    [
        (["Softmax"], "softmax"),
        (["Sigmoid", "Cast"], "sigmoid"),
        (["LogSoftmax", "Identity", "Flatten"], "log_softmax"),
        (["Softmax", "QuantizeLinear", "DequantizeLinear"], "softmax"),
        (["HardSigmoid"], "sigmoid"),
        (["Sigmoid", "Clip"], "sigmoid"),
        (["Sigmoid", "Reshape", "Squeeze"], "sigmoid"),
        (["Softmax", "Gather", "Dropout"], "softmax"),
        (["Softmax", "Transpose", "Transpose"], "softmax"),
        (["Softmax", "Relu"], ""),
        (["Identity"], ""),
    ],
)
def test_the_last_step_is_found_behind_what_changes_no_meaning(kinds: list[str], step: str) -> None:
    names = ["raw", *(f"t{i}" for i in range(1, len(kinds))), "logits"]
    nodes = [
        helper.make_node(kind, [names[i]], [names[i + 1]], **({"to": 1} if kind == "Cast" else {}))
        for i, kind in enumerate(kinds)
    ]
    assert last_step(ending(*nodes), "logits") == step


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Identity", [], ["logits"])],
        [helper.make_node("Identity", ["logits"], ["logits"])],
        [
            helper.make_node("Cast", ["other"], ["logits"], to=1),
            helper.make_node("Identity", ["logits"], ["other"]),
        ],
    ],
)
def test_a_graph_that_leads_nowhere_has_no_last_step(nodes: list[NodeProto]) -> None:
    assert last_step(ending(*nodes), "logits") == ""


@pytest.mark.parametrize(
    ("kinds", "step"),
    [(("Sigmoid", "Sigmoid"), "sigmoid"), (("Sigmoid", "Relu"), ""), (("Softmax", "Sigmoid"), "")],
)
def test_the_last_step_of_what_is_joined_is_that_of_all_its_parts(
    kinds: tuple[str, str], step: str
) -> None:
    """As a net of a head a label has it: Dense(1, 'sigmoid') for each, and a Concat."""
    parts = [helper.make_node(kind, ["raw"], [f"part{n}"]) for n, kind in enumerate(kinds)]
    joined = helper.make_node("Concat", ["part0", "part1"], ["logits"], axis=1)
    assert last_step(ending(*parts, joined), "logits") == step


def test_a_part_of_what_is_split_has_the_step_of_the_whole() -> None:
    parted = helper.make_node("Split", ["all"], ["other", "logits"], axis=1, num_outputs=2)
    nodes = [helper.make_node("Sigmoid", ["raw"], ["all"]), parted]
    assert last_step(ending(*nodes), "logits") == "sigmoid"


def test_an_output_that_is_no_nodes_has_no_last_step() -> None:
    assert last_step(toy_model(toy_card()), "elsewhere") == ""


@pytest.mark.parametrize(
    ("kind", "task", "activation", "message"),
    [
        ("Sigmoid", "multilabel", "sigmoid", "comes from a sigmoid .*say --activation none"),
        ("Softmax", "classification", "softmax", "comes from a softmax .*say --activation none"),
        ("Softmax", "classification", "exp", "comes from a softmax .*say --activation none"),
        ("LogSoftmax", "classification", "none", "log_softmax .*say --activation exp"),
        ("Sigmoid", "classification", "softmax", "its task is another"),
        ("Softmax", "multilabel", "sigmoid", "its task is another"),
    ],
)
def test_an_activation_on_top_of_one_is_refused(
    kind: str, task: Task, activation: Activation, message: str
) -> None:
    model = ending(helper.make_node(kind, ["raw"], ["logits"]))
    with pytest.raises(MemberError, match=message):
        check_last_step(model, toy_card(task=task, activation=activation), HERE)


@pytest.mark.parametrize(
    ("kind", "task", "activation"),
    [
        ("Sigmoid", "multilabel", "none"),
        ("Sigmoid", "regression", "none"),
        ("Softmax", "classification", "none"),
        ("LogSoftmax", "classification", "exp"),
        ("Identity", "classification", "softmax"),
        ("Identity", "multilabel", "sigmoid"),
    ],
)
def test_the_last_step_tells_what_is_left_to_do(
    kind: str, task: Task, activation: Activation
) -> None:
    model = ending(helper.make_node(kind, ["raw"], ["logits"]))
    card = toy_card(task=task, activation=activation)
    assert activation_of(model, "logits", task) == activation
    assert with_activations(toy_card(task=task).heads, model) == card.heads
    check_last_step(model, card, HERE)


def test_a_softmax_of_log_probabilities_gives_the_probabilities_too() -> None:
    model = ending(helper.make_node("LogSoftmax", ["raw"], ["logits"]))
    check_last_step(model, toy_card(activation="softmax"), HERE)
