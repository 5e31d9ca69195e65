"""The merges of views against those of ttach."""

from typing import get_args

import numpy as np
import pytest
import torch
import ttach
from composed import TTACH_MERGES, composed, normalised
from onnx import ModelProto, numpy_helper
from torch import nn
from toys import toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.inference.probe import probe_images
from ensemble.records import Activation, Merge, Size, Task
from ensemble.runtime.merges import check_merge


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
