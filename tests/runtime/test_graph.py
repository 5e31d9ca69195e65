"""The composed graph against the plain loop, and its merges against ttach's."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import ttach
from composed import TTACH_MERGES, composed, normalised
from detectors import detector_card, detector_model
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from toys import toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.inference.probe import probe_images
from ensemble.members.card import Card
from ensemble.records import Merge, Op, Size, View
from ensemble.runtime import graph
from ensemble.runtime.session import OnnxScorer, run_once
from ensemble.views import policy
from ensemble.views import policy as views


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("merge", TTACH_MERGES)
def test_a_forward_for_some_views_gives_the_same_as_one_for_all(merge: Merge, at_once: int) -> None:
    card = toy_card(size=Size(8, 8))
    images = probe_images((5, 8, 8, 3))
    together, split = (
        composed(card, toy_model(card), "d4", merge, at_once=each).score(images)["label"]
        for each in (0, at_once)
    )
    np.testing.assert_allclose(split, together, atol=1e-6)


def test_as_many_views_go_through_the_member_at_once_as_are_asked_for() -> None:
    card = toy_card()
    shaped = [policy.Shaped(view, card.preprocess.size) for view in views.preset("d4")]
    plain, some = (
        graph.compose_graph(toy_model(card), card, shaped, "mean", at_once=each).graph.node
        for each in (0, 3)
    )
    count = [sum(node.op_type == "MatMul" for node in nodes) for nodes in (plain, some)]
    assert count == [1, 3]


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


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_normalised_as_torchvision_does(channels: int) -> None:
    card = toy_card(size=Size(5, 7), channels=channels)
    images = probe_images((4, 5, 7, channels))
    model = graph.compose_normalisation(card.preprocess).SerializeToString()
    found = OnnxScorer(model, {"input": graph.NORMALISED}, device="cpu").score(images)["input"]
    np.testing.assert_allclose(found, normalised(images, card), atol=1e-6)


@pytest.mark.parametrize("pixel", [0, 255])
def test_the_ends_of_the_pixels_are_normalised_exactly(pixel: int) -> None:
    card = toy_card()
    model = graph.compose_normalisation(card.preprocess).SerializeToString()
    scorer = OnnxScorer(model, {"input": graph.NORMALISED}, device="cpu")
    found = scorer.score(np.full((1, 8, 8, 3), pixel, np.uint8))["input"]
    assert (found == (pixel / 255 - 0.5) / 0.25).all()


def test_the_outputs_of_a_head_are_named_after_it() -> None:
    card = toy_card()
    shaped = [policy.Shaped(view, card.preprocess.size) for view in views.preset("hflip")]
    whole = graph.compose_graph(toy_model(card), card, shaped, "mean", keep_views=True)
    assert [output.name for output in whole.graph.output] == [
        "ensemble/probs/label", "ensemble/raw/label", "ensemble/views/label",
    ]  # fmt: skip
    assert [entry.name for entry in whole.graph.input] == [graph.INPUT]


def test_what_the_member_itself_gave_comes_out_raw() -> None:
    card = toy_card()
    model = toy_model(card)
    images = probe_images((3, 8, 8, 3))
    scorer = composed(card, model, "hflip", "mean")
    raw = scorer.outputs(images, {"raw": graph.raw_name(card.heads[0])})["raw"]
    matrix = numpy_helper.to_array(model.graph.initializer[0])
    for view, flipped in zip(raw, (images, images[:, :, ::-1].copy()), strict=True):
        expected = normalised(flipped, card).flatten(1).numpy() @ matrix
        np.testing.assert_allclose(view, expected, atol=1e-4)


def test_a_regression_comes_out_as_the_mean_of_its_views() -> None:
    card = toy_card(task="regression", activation="none")
    scorer = composed(card, toy_model(card), "flip", "mean")
    images = probe_images((3, 8, 8, 3))
    raw = scorer.outputs(images, {"raw": graph.raw_name(card.heads[0])})["raw"]
    np.testing.assert_allclose(scorer.score(images)["label"], raw.mean(0), atol=1e-5)


def test_an_image_scores_alike_alone_and_among_others() -> None:
    card = toy_card()
    scorer = composed(card, toy_model(card), "d4", "mean")
    images = probe_images((5, 8, 8, 3))
    together = scorer.score(images)["label"]
    for row in range(5):
        alone = scorer.score(images[row : row + 1])["label"][0]
        np.testing.assert_allclose(alone, together[row], atol=1e-6)


@pytest.mark.parametrize("op", [Op("add", (0.25,)), Op("multiply", (0.5,))])
def test_arithmetic_is_done_on_normalised_pixels(op: Op) -> None:
    card = toy_card()
    model = toy_model(card)
    images = probe_images((2, 8, 8, 3))
    shaped = [policy.Shaped(View("v", (op,)), card.preprocess.size)]
    whole = graph.compose_graph(model, card, shaped, "mean").SerializeToString()
    scorer = OnnxScorer(whole, {"raw": graph.raw_name(card.heads[0])}, device="cpu")
    changed = normalised(images, card)
    changed = changed + 0.25 if op.name == "add" else changed * 0.5
    expected = changed.flatten(1).numpy() @ numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_allclose(scorer.score(images)["raw"][0], expected, atol=1e-4)


def test_composing_leaves_the_member_as_it_is() -> None:
    card = toy_card()
    model = toy_model(card)
    before = model.SerializeToString()
    composed(card, model, "d4", "mean", at_once=1)
    assert model.SerializeToString() == before


def test_the_same_graph_is_composed_each_time() -> None:
    card = toy_card()
    shaped = [policy.Shaped(view, card.preprocess.size) for view in views.preset("d4")]
    one, other = (
        graph.compose_graph(toy_model(card), card, shaped, "gmean").SerializeToString()
        for _ in range(2)
    )
    assert one == other


def test_a_merge_that_does_not_suit_a_head_is_refused_before_anything_is_built() -> None:
    card = toy_card(task="regression", activation="none")
    shaped = [policy.Shaped(view, card.preprocess.size) for view in views.preset("hflip")]
    with pytest.raises(MemberError, match="merge by mean only"):
        graph.compose_graph(toy_model(card), card, shaped, "max")


def test_colours_are_turned_around_before_they_are_normalised() -> None:
    """Mean and std stand in the member's order: blue, green, red."""
    card = toy_card()
    pre = replace(card.preprocess, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), channel_order="bgr")
    images = probe_images((3, 8, 8, 3))
    model = graph.compose_normalisation(pre)
    found = run_once(model.SerializeToString(), {graph.INPUT: images})[graph.NORMALISED]
    blue_first = images[..., ::-1].transpose(0, 3, 1, 2) / 255
    mean, std = (np.array(v).reshape(1, 3, 1, 1) for v in (pre.mean, pre.std))
    np.testing.assert_allclose(found, (blue_first - mean) / std, atol=1e-6)


def test_boxes_come_out_in_a_row_and_then_their_scores() -> None:
    card = detector_card()
    model = detector_model(card)
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[0, 4:9, 2:5, 0] = 255
    shaped = [policy.Shaped(policy.IDENTITY, card.preprocess.size)]
    made = graph.compose_graph(model, card, shaped, "mean")
    names = {"face": graph.probs_name(card.heads[0])}
    found = OnnxScorer(made.SerializeToString(), names, device="cpu").score(images)["face"]
    assert found.shape == (2, 15)
    assert found[0, :4].tolist() == [2, 4, 5, 9]
    assert found[0, 12:].tolist() == [1, 0, 0]
    assert found[1, 12:].tolist() == [0, 0, 0]


def test_nan_of_a_detector_stays_where_it_is() -> None:
    card = detector_card()
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[0, :, :, 2] = 255
    shaped = [policy.Shaped(policy.IDENTITY, card.preprocess.size)]
    made = graph.compose_graph(detector_model(card), card, shaped, "mean")
    names = {"face": graph.probs_name(card.heads[0])}
    found = OnnxScorer(made.SerializeToString(), names, device="cpu").score(images)["face"]
    assert np.isnan(found[0]).tolist() == [False] * 12 + [True, True, False]
    assert np.isfinite(found[1]).all()
