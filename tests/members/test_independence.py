"""A member whose predictions depend on their batch is refused, or scored one image by one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from begun import begin
from onnx import ModelProto, helper, numpy_helper
from toys import save_member, toy_card, toy_model

from ensemble.errors import MemberError
from ensemble.inference.probe import probe_images
from ensemble.members.independence import among_black, check_independent
from ensemble.members.member import open_member
from ensemble.records import Batch

IMAGES = probe_images((4, 8, 8, 3))


def entangled(kind: str, batch: int | str = "N") -> ModelProto:
    """A toy that normalises or quantises its logits over the batch."""
    model = toy_model(toy_card(), batch=batch)
    model.graph.node[-1].output[0] = "raw"
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    held = {"one": ones, "zero": zeros, "axis": np.array([0])}
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in held.items())
    nodes = {
        "normalised": [helper.make_node(
            "BatchNormalization", ["raw", "one", "zero", "zero", "one"], ["logits", "m", "v"],
            training_mode=1)],
        "quantised": [
            helper.make_node("DynamicQuantizeLinear", ["raw"], ["q", "scale", "point"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "point"], ["logits"])],
        "centred": [
            helper.make_node("ReduceMean", ["raw", "axis"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["raw", "mean"], ["logits"])],
        "attending": [
            helper.make_node("Softmax", ["raw"], ["shares"], axis=0),
            helper.make_node("Mul", ["raw", "shares"], ["logits"])],
    }[kind]  # fmt: skip
    model.graph.node.extend(nodes)
    return model


def saved(folder: Path, kind: str, *, declared: Batch = "any", batch: int | str = "N") -> Path:
    return save_member(folder, replace(toy_card(), batch=declared), entangled(kind, batch))


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("normalised", r"BatchNormalization.*net.eval\(\)"),
        ("quantised", "quantised dynamically"),
        ("centred", "computed over the batch axis"),
        ("attending", "computed over the batch axis"),
    ],
)
@pytest.mark.parametrize("batch", ["N", 4])
def test_a_prediction_that_depends_on_its_batch_is_refused_with_the_cause(
    tmp_path: Path, kind: str, cause: str, batch: int | str
) -> None:
    with pytest.raises(MemberError, match=f"toy-f0.onnx.*depends.*{cause}.*--batch alone"):
        begin(saved(tmp_path, kind, batch=batch))


@pytest.mark.parametrize("kind", ["quantised", "centred"])
def test_images_that_are_declared_alone_are_scored_one_by_one(tmp_path: Path, kind: str) -> None:
    """The answer is that of each view of each image by itself, in the toy's own arithmetic."""
    ready = begin(saved(tmp_path, kind, declared="alone"), tta="hflip", batch=32)
    assert (ready.batch, ready.fixed_batch) == (1, True)
    found = np.concatenate([ready.score(IMAGES[i : i + 1])["label"] for i in range(4)])
    plain = begin(saved(tmp_path / "one", kind, batch=1))
    views = [
        np.concatenate([plain.score(turned[i : i + 1])["label"] for i in range(4)])
        for turned in (IMAGES, np.ascontiguousarray(IMAGES[:, :, ::-1]))
    ]
    np.testing.assert_allclose(found, np.mean(views, 0), atol=1e-6)


def test_one_image_in_a_batch_that_is_fixed_is_independent(tmp_path: Path) -> None:
    assert begin(saved(tmp_path, "quantised", batch=1)).batch == 1


def test_rounding_is_no_dependence_and_an_operator_that_depends_has_no_room(
    tmp_path: Path,
) -> None:
    card = toy_card()
    plain = open_member(save_member(tmp_path, card, toy_model(card)))
    before = {"label": np.full((4, 3), 0.5, np.float32)}
    after = {"label": before["label"] + np.float32(0.005)}
    told = plain.model, plain.card, plain.path
    check_independent(*told, before, after)
    with pytest.raises(MemberError, match="moves by 0.005"):
        check_independent(entangled("quantised"), *told[1:], before, after)


def test_nan_is_left_to_the_scoring(tmp_path: Path) -> None:
    member = open_member(saved(tmp_path, "centred"))
    values = {"label": np.full((1, 3), np.nan, np.float32)}
    check_independent(member.model, member.card, member.path, values, values)


def test_the_first_image_among_black_ones_keeps_its_shape() -> None:
    others = among_black(IMAGES)
    assert others.shape == IMAGES.shape
    np.testing.assert_array_equal(others[0], IMAGES[0])
    assert not others[1:].any()
