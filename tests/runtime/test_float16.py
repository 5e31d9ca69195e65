"""Float16: the member's own nodes, proven against float32, refused where it does not hold."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from layer_norms import BIAS, layer_norm
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from onnx.reference import ReferenceEvaluator
from toys import MakeMember, ensemble, save_member, toy_card, toy_model

from ensemble.api import predict
from ensemble.errors import MemberError
from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.inference.ready import ReadyMember
from ensemble.members import member as members
from ensemble.members.member import open_member, write_sidecar
from ensemble.runtime.agreement import FLOAT16, check_agreement
from ensemble.runtime.float16 import to_float16
from ensemble.runtime.session import run_once
from ensemble.views import policy

FASHION = Path(__file__).parents[2] / "models_zoo" / "fashion"
LABEL = toy_card().heads[0]


def begin(path: Path, precision: str = "fp16") -> ReadyMember:
    """Start a member on the CPU."""
    return start.start(
        open_member(path), policy.preset("hflip"), "mean", device="cpu", threads=1, batch=4,
        precision=precision,
    )  # fmt: skip


def raised(path: Path, by: float) -> Path:
    """Add a number to every weight of a toy member: its probabilities stay as they are."""
    model = onnx.load(path)
    matrix = numpy_helper.to_array(model.graph.initializer[0]) + np.float32(by)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    onnx.save(model, path)
    return path


def test_every_weight_of_a_converted_graph_is_float16_and_the_original_stays() -> None:
    model = toy_model(toy_card())
    kinds = [tensor.data_type for tensor in to_float16(model).graph.initializer]
    assert kinds == [TensorProto.FLOAT16]
    assert model.graph.initializer[0].data_type == TensorProto.FLOAT


@pytest.mark.parametrize("family", ["resnet", "vgg"])
def test_a_real_member_in_float16_gives_the_same_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    monkeypatch.chdir(tmp_path)
    member = FASHION / f"{family}-f0.onnx"
    full, half = (
        predict.run(member, FASHION / "images", device="cpu", out=precision, precision=precision)
        for precision in ("fp32", "fp16")
    )
    assert list(half.labels) == list(full.labels)
    assert 0 < abs(half.probs - full.probs).max() < FLOAT16.bound


def test_probabilities_stay_float32(make_member: MakeMember) -> None:
    rows = begin(make_member()).scorer.score(probe_images((9, 8, 8, 3)))["label"]
    assert rows.dtype == np.float32
    assert abs(rows.sum(1) - 1).max() < 1e-6


@pytest.mark.parametrize("batch", [1, 3])
def test_a_static_batch_that_the_views_do_not_divide_is_proven_too(
    tmp_path: Path, batch: int
) -> None:
    card = toy_card()
    ready = begin(save_member(tmp_path, card, toy_model(card, batch=batch)))
    assert (ready.batch, ready.fixed_batch) == (batch, True)


def test_a_weight_beyond_float16_is_refused(make_member: MakeMember) -> None:
    with pytest.raises(MemberError, match=r"toy-f0.onnx: .*'matrix' overflows.*--precision fp32"):
        begin(raised(make_member(), 1e5))


def test_a_member_whose_probabilities_change_is_refused_with_both_numbers(
    make_member: MakeMember,
) -> None:
    with pytest.raises(MemberError, match=r"differs by [\d.]+ .* at most 0\.01 .* of 16 labels"):
        begin(raised(make_member(), 1000))


@pytest.fixture
def spread(tmp_path: Path) -> Path:
    """A member whose weights lie beside it."""
    card = toy_card()
    model = toy_model(card)
    convert_model_to_external_data(model, location="w.data", size_threshold=0)
    onnx.save(model, tmp_path / "toy-f0.onnx")
    return write_sidecar(tmp_path / "toy-f0.onnx", card).with_name("toy-f0.onnx")


def test_a_member_with_external_data_is_converted_too(spread: Path) -> None:
    assert begin(spread).scorer.score(probe_images((2, 8, 8, 3)))


def test_a_member_that_is_too_large_in_one_piece_is_refused_before_it_is_read(
    spread: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = spread.stat().st_size + (spread.parent / "w.data").stat().st_size - 1
    monkeypatch.setattr(members, "MAX_PROTOBUF", room)
    with pytest.raises(MemberError, match=rf"toy-f0.onnx: .* has {room + 1} bytes.*at most {room}"):
        begin(spread)
    assert begin(spread, "fp32").scorer.score(probe_images((2, 8, 8, 3)))


def test_a_quantised_graph_is_refused() -> None:
    model = toy_model(toy_card())
    model.graph.node.append(helper.make_node("QuantizeLinear", ["logits", "s", "z"], ["q"]))
    with pytest.raises(MemberError, match="quantised.*--precision fp32"):
        to_float16(model)


def test_predictions_in_float16_are_kept_apart(
    members: list[Path], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = predict.run(members, images, out="one", device="cpu")
    half = predict.run(members, images, out="two", device="cpu", precision="fp16")
    assert half.record["evaluations"] == first.record["evaluations"]
    assert half.labels == first.labels


def test_float16_on_the_cpu_comes_with_a_note(
    members: list[Path], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    args = ("--members", members[0], "--images", images, "--device", "cpu", "--precision", "fp16")
    assert ensemble("run", *args) == 0
    assert "slower than float32 on the CPU" in " ".join(capsys.readouterr().err.split())


def test_a_converted_graph_differs_by_float16s_rounding_only() -> None:
    model, pixels = toy_model(toy_card()), probe_images((4, 3, 8, 8)).astype(np.float32) / 255
    full = run_once(model.SerializeToString(), {"image": pixels})["logits"]
    half = run_once(to_float16(model).SerializeToString(), {"image": pixels.astype(np.float16)})
    assert half["logits"].dtype == np.float16
    assert 0 < abs(half["logits"] - full).max() < 0.02 * abs(full).max()


@pytest.mark.parametrize("weight", [65504.0, -65504.0, np.inf])
def test_a_weight_at_the_end_of_float16_is_taken(weight: float) -> None:
    model = toy_model(toy_card())
    matrix = numpy_helper.to_array(model.graph.initializer[0]).copy()
    matrix[0, 0] = weight
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    assert numpy_helper.to_array(to_float16(model).graph.initializer[0])[0, 0] == weight


def test_whole_numbers_of_a_graph_stay_as_they_are() -> None:
    model = toy_model(toy_card())
    axes = np.array([2**40], np.int64)
    model.graph.initializer.append(numpy_helper.from_array(axes, "axes"))
    kept = {tensor.name: tensor.data_type for tensor in to_float16(model).graph.initializer}
    assert kept["axes"] == TensorProto.INT64


def test_the_converter_leaves_the_import_path_as_it_was() -> None:
    before = list(sys.path)
    to_float16(toy_model(toy_card()))
    assert sys.path == before


@pytest.mark.parametrize("one_operator", [True, False])
def test_a_layer_norm_that_float16_ruins_is_refused_by_what_a_gpu_would_give(
    one_operator: bool,
) -> None:
    """onnx's reference computes each operator in float16, as a GPU may; ORT's CPU does not."""
    model = layer_norm(one_operator=one_operator)
    pixels = probe_images((16, 3, 16, 16)).astype(np.float32) / 255
    full = run_once(model.SerializeToString(), {"image": pixels})["logits"]
    with np.errstate(over="ignore"):
        (half,) = ReferenceEvaluator(to_float16(model)).run(
            None, {"image": pixels.astype(np.float16)}
        )
    assert abs(half[-1] - BIAS).max() < 0.01  # the noise of most contrast
    with pytest.raises(MemberError, match="in float16, head 'label' differs by"):
        check_agreement(LABEL, full, half.astype(np.float32), FLOAT16)
