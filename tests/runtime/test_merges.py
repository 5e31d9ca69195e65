"""The merges of views against those of ttach."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
import ttach
from composed import TTACH_MERGES, composed, normalised
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from scipy.special import expit, softmax
from torch import nn
from toys import toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.inference.probe import probe_images
from ensemble.members.card import BoxOutput, Head
from ensemble.records import Activation, Merge, Size, Task
from ensemble.runtime.merges import Builder, check_merge, guarded, in_order, merged
from ensemble.runtime.session import run_once


class Toy(nn.Module):
    """The toy member in torch: a linear map of every pixel, so sensitive to every view."""

    def __init__(self, model: ModelProto, activation: nn.Module) -> None:
        super().__init__()
        matrix = numpy_helper.to_array(model.graph.initializer[0])
        self.matrix = torch.from_numpy(matrix.copy())
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.activation(x.flatten(1) @ self.matrix)
        assert isinstance(out, torch.Tensor)
        return out


@pytest.mark.parametrize("merge", TTACH_MERGES)
@pytest.mark.parametrize("tta", ["hflip", "flip", "d4"])
def test_a_merge_equals_ttach_divided_by_its_row_sum(tta: str, merge: Merge) -> None:
    card = toy_card(size=Size(8, 8))
    model = toy_model(card)
    images = probe_images((5, 8, 8, 3))
    ours = composed(card, model, tta, merge).score(images)["label"]
    compose = {"hflip": ttach.aliases.hflip_transform, "flip": ttach.aliases.flip_transform,
               "d4": ttach.aliases.d4_transform}[tta]()  # fmt: skip
    wrapped = ttach.ClassificationTTAWrapper(Toy(model, nn.Softmax(1)), compose, merge)
    theirs = wrapped(normalised(images, card)).numpy()
    np.testing.assert_allclose(ours, theirs / theirs.sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("merge", TTACH_MERGES)
def test_sigmoid_heads_merge_per_label(merge: Merge) -> None:
    card = toy_card(task="multilabel", activation="sigmoid")
    model = toy_model(card)
    images = probe_images((3, 8, 8, 3))
    ours = composed(card, model, "flip", merge).score(images)["label"]
    toy = Toy(model, nn.Sigmoid())
    wrapped = ttach.ClassificationTTAWrapper(toy, ttach.aliases.flip_transform(), merge)
    np.testing.assert_allclose(ours, wrapped(normalised(images, card)).numpy(), atol=1e-6)


def test_logits_are_averaged_before_the_activation() -> None:
    card = toy_card()
    model = toy_model(card)
    images = probe_images((3, 8, 8, 3))
    ours = composed(card, model, "flip", "logits").score(images)["label"]
    toy = Toy(model, nn.Identity())
    wrapped = ttach.ClassificationTTAWrapper(toy, ttach.aliases.flip_transform())
    theirs = wrapped(normalised(images, card)).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("task", "activation", "merge"),
    [("regression", "none", "max"), ("classification", "none", "logits")],
)
def test_a_merge_without_a_meaning_is_refused(
    task: Task, activation: Activation, merge: Merge
) -> None:
    head = toy_card(task=task, activation=activation).heads[0]
    with pytest.raises(MemberError):
        check_merge(head, merge)


def test_every_merge_is_tested() -> None:
    assert set(TTACH_MERGES) | {"logits"} == set(get_args(Merge))


def head_of(task: Task = "classification", activation: Activation = "softmax") -> Head:
    return toy_card(task=task, activation=activation).heads[0]


def computed(raw: NDArray[np.float32], make: Callable[[Builder, str], str]) -> NDArray[np.float32]:
    """Run a graph of the nodes that `make` builds on what a member gave, (V, N, C)."""
    build = Builder("test")
    build.name(make(build, "raw"), "out")
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("raw", "out")
    ]
    made = helper.make_graph(build.nodes, "g", shapes[:1], shapes[1:], build.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return run_once(model.SerializeToString(), {"raw": raw})["out"]


def logits(views: int = 3, rows: int = 4, classes: int = 3, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 2, (views, rows, classes)).astype(np.float32)


def oracle(raw: NDArray[np.float32], head: Head, merge: Merge) -> NDArray[np.float64]:
    """Each merge by its definition."""
    act = {"softmax": lambda x: softmax(x, -1), "sigmoid": expit, "none": lambda x: x}
    x, activate = raw.astype(np.float64), act[head.activation]
    probs = activate(x)
    found = {
        "mean": lambda: probs.mean(0),
        "max": lambda: probs.max(0),
        "min": lambda: probs.min(0),
        "tsharpen": lambda: np.sqrt(probs).mean(0),
        "gmean": lambda: np.exp(np.log(probs).mean(0)),
        "logits": lambda: activate(x.mean(0)),
    }[merge]()
    one = head.task == "classification"
    return found / found.sum(-1, keepdims=True) if one else found


@pytest.mark.parametrize("merge", get_args(Merge))
@pytest.mark.parametrize(
    ("task", "activation"), [("classification", "softmax"), ("multilabel", "sigmoid")]
)
def test_a_merge_is_its_definition(task: Task, activation: Activation, merge: Merge) -> None:
    raw, head = logits(), head_of(task, activation)
    found = computed(raw, lambda build, name: merged(build, name, head, merge, 3))
    np.testing.assert_allclose(found, oracle(raw, head, merge), atol=1e-6)


@pytest.mark.parametrize("merge", ["mean", "gmean", "max", "min", "tsharpen"])
def test_probabilities_of_a_member_are_merged_as_they_are(merge: Merge) -> None:
    raw = softmax(logits(seed=1), -1).astype(np.float32)
    head = head_of(activation="none")
    found = computed(raw, lambda build, name: merged(build, name, head, merge, 3))
    np.testing.assert_allclose(found, oracle(raw, head, merge), atol=1e-6)


@pytest.mark.parametrize("merge", get_args(Merge))
def test_the_order_of_the_views_does_not_matter(merge: Merge) -> None:
    raw, head = logits(seed=2), head_of()
    one, other = (
        computed(part, lambda build, name: merged(build, name, head, merge, 3))
        for part in (raw, raw[[2, 0, 1]])
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("merge", get_args(Merge))
def test_one_view_merges_to_itself(merge: Merge) -> None:
    raw, head = logits(1), head_of()
    found = computed(raw, lambda build, name: merged(build, name, head, merge, 1))
    np.testing.assert_allclose(found, softmax(raw[0], -1), atol=1e-6)


@pytest.mark.parametrize("merge", ["mean", "gmean", "max", "min", "logits"])
def test_views_that_agree_merge_to_what_each_says(merge: Merge) -> None:
    raw, head = np.repeat(logits(1), 4, 0), head_of()
    found = computed(raw, lambda build, name: merged(build, name, head, merge, 4))
    np.testing.assert_allclose(found, softmax(raw[0], -1), atol=1e-6)


def test_a_zero_of_one_view_leaves_a_geometric_mean_that_is_finite() -> None:
    raw = np.array([[[1.0, 0.0]], [[0.5, 0.5]]], np.float32)
    head = head_of(activation="none")
    found = computed(raw, lambda build, name: merged(build, name, head, "gmean", 2))
    np.testing.assert_allclose(found, [[1, 0]], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_is_nan_where_any_view_gave_what_is_not_finite(bad: float) -> None:
    raw = logits()
    raw[1, 2, 0] = bad
    found = computed(raw, lambda b, name: guarded(b, merged(b, name, head_of(), "max", 3), name))
    assert np.isnan(found).all(1).tolist() == [False, False, True, False]
    assert np.isfinite(found[[0, 1, 3]]).all()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_views_come_back_in_the_order_that_they_have(order: list[int]) -> None:
    raw = logits()

    def shuffled(build: Builder, name: str) -> str:
        return in_order(build, [build.cut(name, 0, v, v + 1) for v in order], order)

    np.testing.assert_array_equal(computed(raw, shuffled), raw)


def test_nodes_and_constants_of_a_builder_have_names_of_their_own() -> None:
    build = Builder("mine")
    outputs = [build.op("Relu", "x"), build.transpose("x", [1, 0]), build.op("Relu", "x")]
    constants = [build.number(1), build.integers(1, 2), build.number(1)]
    names = outputs + constants
    assert len(set(names)) == len(names)
    assert all(name.startswith("mine/") for name in names)


@pytest.mark.parametrize("merge", [m for m in get_args(Merge) if m != "mean"])
def test_a_regression_merges_by_mean_only(merge: Merge) -> None:
    with pytest.raises(MemberError, match="'label' is a regression: its views merge by mean only"):
        check_merge(head_of("regression", "none"), merge)


def test_probabilities_cannot_merge_by_logits() -> None:
    with pytest.raises(MemberError, match="gives probabilities, not logits"):
        check_merge(head_of(activation="none"), "logits")


def test_every_merge_suits_a_head_of_logits() -> None:
    for merge in get_args(Merge):
        check_merge(head_of(), merge)


def test_boxes_are_taken_of_the_image_as_it_is() -> None:
    head = Head("face", "boxes", "boxes", "none", ("face",), BoxOutput("scores", 3))
    check_merge(head, "mean", 1)
    with pytest.raises(MemberError, match="gives boxes: it takes the image as it is, no views"):
        check_merge(head, "mean", 2)
