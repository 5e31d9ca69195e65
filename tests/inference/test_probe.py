"""Images of noise prove a member: what it gives is what its card says, or it is named."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import numpy as np
import onnx
import pytest
from begun import begin
from onnx import helper, numpy_helper
from toys import MakeMember, save_member, toy_card, toy_model

from ensemble.arrays import Pixels, Probs
from ensemble.errors import MemberError, OutOfMemoryError, ScoreError
from ensemble.inference import probe, start
from ensemble.inference.probe import batch_noise, probe_images, seconds_per_image
from ensemble.inference.ready import ReadyMember
from ensemble.members.member import open_member
from ensemble.records import Activation, Merge
from ensemble.runtime.devices import CPU
from ensemble.runtime.session import OnnxScorer
from ensemble.views import policy

Begin = Callable[..., ReadyMember]


@pytest.fixture
def fresh(make_member: MakeMember) -> Begin:
    """Start a member on the CPU."""

    def started(precision: str = "fp32") -> ReadyMember:
        return start.start(
            open_member(make_member()), policy.preset("none"), "mean", device="cpu", threads=1,
            batch=2, precision=precision,
        )  # fmt: skip

    return started


def failing(ready: ReadyMember, rows: int, error: Exception) -> ReadyMember:
    """Let a member fail on batches of so many images."""

    def score(images: Pixels) -> Mapping[str, Probs]:
        if len(images) == rows:
            raise error
        return {"label": np.zeros((len(images), 3), np.float32)}

    scorer = SimpleNamespace(score=score, provider=CPU, lanes=1)
    return replace(ready, scorer=cast(OnnxScorer, scorer))


@pytest.mark.parametrize("kind", [ScoreError, OutOfMemoryError])
@pytest.mark.parametrize(
    ("measure", "rows"),
    [(seconds_per_image, 4), (batch_noise, 4), (batch_noise, 1)],
)
def test_a_member_that_fails_while_it_is_measured_is_named_with_its_batch(
    fresh: Begin, measure: Callable[[ReadyMember], float], rows: int, kind: type[ScoreError]
) -> None:
    with pytest.raises(ScoreError, match=f"member toy-f0, batch of {rows}: odd") as found:
        measure(failing(fresh(), rows, kind("odd")))
    assert type(found.value) is kind


def test_a_member_that_fails_while_float16_is_proven_is_refused_by_its_file(
    fresh: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ScoreError("ONNX Runtime failed: odd")

    monkeypatch.setattr(OnnxScorer, "score", fail)
    with pytest.raises(MemberError, match=r"toy-f0.onnx: .*ONNX Runtime failed: odd"):
        fresh("fp16")


def softmaxed(tmp_path: Path, activation: Activation) -> Path:
    """A member whose graph ends in a Softmax, with a card that may say otherwise."""
    card = toy_card(activation=activation)
    model = toy_model(card)
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(helper.make_node("Softmax", ["raw"], ["logits"], axis=1))
    return save_member(tmp_path, card, model)


def test_a_double_softmax_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match="comes from a softmax in the graph.*--activation none"):
        begin(softmaxed(tmp_path, "softmax"))


def test_a_double_softmax_that_no_operator_shows_is_refused(tmp_path: Path) -> None:
    """Exp over its sum, as some converters write a softmax."""
    card = toy_card()
    model = toy_model(card)
    model.graph.node[-1].output[0] = "raw"
    one = numpy_helper.from_array(np.array([1]), "one")
    model.graph.initializer.append(one)
    model.graph.node.extend([
        helper.make_node("Exp", ["raw"], ["e"]),
        helper.make_node("ReduceSum", ["e", "one"], ["sum"], keepdims=1),
        helper.make_node("Div", ["e", "sum"], ["logits"]),
    ])  # fmt: skip
    with pytest.raises(MemberError, match="probabilities already"):
        begin(save_member(tmp_path, card, model))


def test_log_probabilities_are_run_as_such(tmp_path: Path) -> None:
    card = toy_card(activation="exp")
    model = toy_model(card)
    images = probe_images((3, 8, 8, 3))
    plain = begin(save_member(tmp_path / "a", toy_card(), toy_model(toy_card())), tta="flip")
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(helper.make_node("LogSoftmax", ["raw"], ["logits"], axis=1))
    for merge in get_args(Merge):
        logs = begin(save_member(tmp_path / "b", card, model), tta="flip", merge=merge)
        plain = begin(tmp_path / "a" / "toy-f0.onnx", tta="flip", merge=merge)
        found, expected = (p.score(images)["label"] for p in (logs, plain))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_logits_declared_as_log_probabilities_are_refused(make_member: MakeMember) -> None:
    with pytest.raises(MemberError, match="no probabilities"):
        begin(make_member(activation="exp"))


def test_logits_declared_as_probabilities_are_refused(make_member: MakeMember) -> None:
    with pytest.raises(MemberError, match="no probabilities"):
        begin(make_member(activation="none"))


def test_probabilities_declared_as_such_are_run(tmp_path: Path) -> None:
    assert begin(softmaxed(tmp_path, "none")).batch == 4


def test_a_member_of_an_old_opset_is_converted_and_compared(tmp_path: Path) -> None:
    card = toy_card()
    new = begin(save_member(tmp_path / "new", card, toy_model(card)), tta="flip")
    old = begin(save_member(tmp_path / "old", card, toy_model(card, opset=9)), tta="flip")
    images = probe_images((4, 8, 8, 3))
    assert old.member.converted
    np.testing.assert_allclose(
        old.scorer.score(images)["label"], new.scorer.score(images)["label"], atol=1e-6
    )


def test_a_nan_weight_is_not_mistaken_for_a_wrong_activation(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    matrix = numpy_helper.to_array(model.graph.initializer[0]).copy()
    matrix[0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    assert begin(save_member(tmp_path, card, model)).batch == 4


def test_a_batch_that_is_fixed_inside_is_refused_with_a_hint(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    shape = numpy_helper.from_array(np.array([2, 192], np.int64), "shape")
    model.graph.initializer.append(shape)
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["image", "shape"], ["flat"]))
    with pytest.raises(MemberError, match=r"toy-f0\.onnx: it fails.*dynamic shapes"):
        begin(save_member(tmp_path, card, model))


def test_a_batch_that_is_fixed_inside_at_that_of_the_probe_is_refused_too(tmp_path: Path) -> None:
    card = toy_card()
    model = toy_model(card)
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["image", "shape"], ["flat"]))
    fixed = np.array([probe.PROBE, -1])
    model.graph.initializer.append(numpy_helper.from_array(fixed, "shape"))
    with pytest.raises(MemberError, match="fails on 1 images .* fixed inside"):
        begin(save_member(tmp_path, card, model))


@pytest.mark.parametrize(("labels", "refused"), [(3, False), (8, True)])
def test_few_labels_in_0_to_1_prove_nothing(
    make_member: MakeMember, labels: int, refused: bool
) -> None:
    classes = [f"label{n}" for n in range(labels)]
    path = make_member(classes=classes, task="multilabel", activation="sigmoid")
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "raw"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
    model.graph.node.extend([  # a sigmoid that no operator shows
        helper.make_node("Neg", ["raw"], ["n"]), helper.make_node("Exp", ["n"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["s"]),
        helper.make_node("Div", ["one", "s"], ["logits"]),
    ])  # fmt: skip
    onnx.save(model, path)
    with pytest.raises(MemberError, match="probabilities") if refused else nullcontext():
        begin(path)


def test_an_input_too_large_to_probe_is_refused_before_it_is_made(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_PROBE_PIXELS", 2 * 8 * 8 - 1)
    with pytest.raises(MemberError, match="2 images of 8x8 pixels are more than a probe takes"):
        begin(make_member())
