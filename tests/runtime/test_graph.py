"""The composed graph against the plain loop, and its merges against ttach's."""

from typing import cast, get_args

import numpy as np
import pytest
import torch
import ttach
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from torch import nn
from toys import toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.inference.probe import probe_images
from ensemble.members.card import Card
from ensemble.records import Activation, Merge, Size, Task
from ensemble.runtime import graph
from ensemble.runtime.merges import check_merge
from ensemble.runtime.session import OnnxScorer
from ensemble.views import policy
from ensemble.views import policy as views
from ensemble.views.pixels import output_size

TTACH_MERGES: tuple[Merge, ...] = ("mean", "gmean", "max", "min", "tsharpen")


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


def composed(card: Card, model: ModelProto, tta: str, merge: Merge, **how: bool) -> OnnxScorer:
    """A scorer over the composed graph."""
    size = card.preprocess.size
    shaped = [policy.Shaped(v, output_size(v, size)) for v in views.preset(tta)]
    whole = graph.compose_graph(model, card, shaped, merge, **how)
    names = {h.name: graph.probs_name(h) for h in card.heads}
    return OnnxScorer(whole.SerializeToString(), names, device="cpu")


@pytest.mark.parametrize("merge", TTACH_MERGES)
def test_a_forward_for_each_view_gives_the_same_as_one_for_all(merge: Merge) -> None:
    card = toy_card(size=Size(8, 8))
    images = probe_images((5, 8, 8, 3))
    together, split = (
        composed(card, toy_model(card), "d4", merge, split=each).score(images)["label"]
        for each in (False, True)
    )
    np.testing.assert_allclose(split, together, atol=1e-6)


def normalised(images: NDArray[np.uint8], card: Card) -> torch.Tensor:
    """What torchvision's ToTensor and Normalize give."""
    pre = card.preprocess
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in (pre.mean, pre.std))
    return (torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255 - mean) / std


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


def test_a_dropped_swapped_or_doubled_view_shows() -> None:
    card = toy_card()
    scorer = composed(card, toy_model(card), "d4", "mean", keep_views=True)
    images = probe_images((2, 8, 8, 3))
    each = scorer.outputs(images, {"label": graph.views_name(card.heads[0])})["label"]
    assert each.shape == (8, 2, 3)
    for first in range(8):
        for second in range(first):
            assert abs(each[first] - each[second]).max() > 1e-3
    np.testing.assert_allclose(scorer.score(images)["label"], each.mean(0), atol=1e-6)


def test_views_of_several_shapes_keep_their_order() -> None:
    card = toy_card(size=Size(8, 6), dynamic_size=True)
    model = _pooling_model(card)
    tta = "multiscale(0.5,1,2,1.5)"
    scorer = composed(card, model, tta, "mean", keep_views=True)
    images = probe_images((2, 8, 6, 3))
    each = scorer.outputs(images, {"label": graph.views_name(card.heads[0])})["label"]
    transforms = ttach.aliases.multiscale_transform([0.5, 1, 2, 1.5])
    batch = normalised(images, card)
    for ours, transform in zip(each, transforms, strict=True):
        theirs = transform.augment_image(batch).mean((2, 3)).softmax(1).numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("tta", ["hflip", "flip", "d4"])
def test_the_graph_agrees_with_one_forward_a_view(tta: str) -> None:
    card = toy_card()
    model = toy_model(card)
    images = probe_images((4, 8, 8, 3))
    merged = composed(card, model, tta, "mean").score(images)["label"]
    single = composed(card, model, "none", "mean")
    loop = []
    for view in views.preset(tta):
        grid = _moved(images, view.name)
        loop.append(single.score(grid)["label"])
    np.testing.assert_allclose(merged, np.mean(loop, axis=0), atol=1e-6)


@pytest.mark.parametrize("opset", [13, 14, 17, 18, 21])
def test_the_wrapper_is_written_at_the_members_own_opset(opset: int) -> None:
    card = toy_card()
    images = probe_images((2, 8, 8, 3))
    expected = composed(card, toy_model(card, opset=18), "d4", "gmean").score(images)["label"]
    found = composed(card, toy_model(card, opset=opset), "d4", "gmean").score(images)["label"]
    np.testing.assert_array_equal(found, expected)


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


def _moved(images: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    moves = {"hflip": lambda a: a[:, :, ::-1], "vflip": lambda a: a[:, ::-1]}
    for k in (1, 2, 3):
        moves[f"rot{90 * k}"] = lambda a, k=k: np.rot90(a, k, (1, 2))
    for part in name.split("+"):
        images = moves[part](images) if part in moves else images
    return cast(NDArray[np.uint8], np.ascontiguousarray(images))


def _pooling_model(card: Card) -> ModelProto:
    """A member of any size: the mean of each channel is a logit."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"], axis=1),
    ]
    made = helper.make_graph(
        nodes,
        "pool",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    assert len(card.heads[0].classes) == 3
    return model
