"""Int8 members: what they are, when they are refused, and what decides them."""

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument
from toys import CLASSES, ensemble, save_images, save_member, toy_card, toy_model

import ensemble as library
from ensemble.boxes import Crop
from ensemble.errors import MemberError, StoreError, UsageError
from ensemble.export import int8
from ensemble.images.reading import hash_sources
from ensemble.images.sources import scan
from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.members.card import Card, Head
from ensemble.members.member import open_member, write_sidecar
from ensemble.pipeline.calibration_images import divide
from ensemble.runtime import graph
from ensemble.runtime.session import OnnxScorer
from ensemble.views import parse


def conv_model(card: Card, *, batch: int | str = "N", opset: int = 18) -> onnx.ModelProto:
    """A convolution, its mean over the image, and a linear map: what int8 is made for."""
    rng, channels = np.random.default_rng(0), len(card.preprocess.mean)
    weights = {
        "kernel": rng.normal(0, 1, (8, channels, 3, 3)),
        "matrix": rng.normal(0, 4, (8, len(CLASSES))),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    size = card.preprocess.size
    image = [batch, channels, size.height, size.width]
    made = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, len(CLASSES)])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


@pytest.fixture
def member(tmp_path: Path) -> Path:
    card = toy_card("conv-f0")
    return save_member(tmp_path / "folds", card, conv_model(card))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return save_images(tmp_path / "photographs", 24)


def make(member: Path, images: Path, out: Path, bound: float = 0.5) -> Path:
    (made,) = library.quantize_members(member, images, out, max_disagreement=bound)
    return made.path


def test_an_int8_member_is_an_ordinary_member(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    made = open_member(make(member, photographs, tmp_path / "int8"))
    kinds = {node.op_type for node in made.model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert made.batch is None
    result = library.run(tmp_path / "int8", photographs, out=tmp_path / "run")
    assert len(result.ids) == 24


def layers_of(*kinds: str) -> list[onnx.NodeProto]:
    return [helper.make_node(kind, [], [], name=f"{n}") for n, kind in enumerate(kinds)]


def test_the_first_convolution_and_the_last_layer_stay_float32() -> None:
    assert int8.float_layers(layers_of("Conv", "Conv", "Conv", "Gemm")) == ["0", "3"]


def test_a_first_product_is_quantised() -> None:
    assert int8.float_layers(layers_of("MatMul", "MatMul", "Gemm")) == ["2"]


def test_where_no_other_layer_is_left_all_are_quantised() -> None:
    assert int8.float_layers(layers_of("Conv", "Gemm")) == []
    assert int8.float_layers(layers_of("Gemm")) == []


def test_what_stays_float32_is_left_alone(photographs: Path, tmp_path: Path) -> None:
    card = toy_card("conv-f0")
    model = conv_model(card)
    square = np.eye(8, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(square, "square"))
    model.graph.node.insert(4, helper.make_node("MatMul", ["flat", "square"], ["turned"]))
    model.graph.node[5].input[0] = "turned"
    made = open_member(make(save_member(tmp_path / "folds", card, model), photographs, tmp_path, 1))
    layers = [node for node in made.model.graph.node if node.op_type in int8.QUANTIZABLE]
    read = {node.output[0]: node.op_type for node in made.model.graph.node}
    quantised = [read.get(node.input[1]) == "DequantizeLinear" for node in layers]
    assert quantised == [False, True, False]


def test_its_card_says_what_it_was_made_of(member: Path, photographs: Path, tmp_path: Path) -> None:
    card = open_member(make(member, photographs, tmp_path / "int8")).card
    before = open_member(member)
    assert (card.name, card.family, card.fold) == ("conv-f0", "conv", 0)
    assert card.source["quantized"] == "int8 qdq"
    assert card.source["fp32_sha256"] == before.sha256
    assert (card.source["calibrated_on"], card.source["judged_on"]) == (12, 12)
    assert 0.5 <= float(card.source["agreement:label"]) <= 1


def test_probabilities_stay_near_those_of_float32(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    (made,) = library.quantize_members(member, photographs, tmp_path / "int8", max_disagreement=1)
    assert made.agreements[0].mean < 0.02


def test_the_same_images_in_other_names_give_the_same_bytes(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    for number, path in enumerate(sorted(photographs.iterdir(), reverse=True)):
        (tmp_path / "renamed").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "renamed" / f"{number}.png")
    first = make(member, photographs, tmp_path / "first")
    second = make(member, tmp_path / "renamed", tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()


def test_the_calibration_sees_what_the_composed_graph_feeds_the_member(member: Path) -> None:
    opened = open_member(member)
    images = probe_images((11, 8, 8, 3))
    composed = graph.compose_graph(
        opened.model, opened.card, start.shape_views(opened, parse.read_policy("none")), "mean"
    )
    composed.graph.output.append(
        helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    )
    scorer = OnnxScorer(composed.SerializeToString(), {"fed": "image"}, device="cpu")
    expected = scorer.score(images)["fed"]
    np.testing.assert_array_equal(int8.normalised(opened.card.preprocess, images), expected)


def test_over_the_bound_nothing_is_written(
    photographs: Path, member: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def spoilt(member: object, images: object) -> onnx.ModelProto:
        model = conv_model(toy_card("conv-f0"))
        matrix = model.graph.initializer[1]
        matrix.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(matrix), "matrix"))
        return model

    monkeypatch.setattr("ensemble.pipeline.quantize.to_int8", spoilt)
    out = tmp_path / "int8"
    assert ensemble("quantize", member, "--images", photographs, "--out", out) == 4
    assert "labels change" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("odd"), AttributeError("odd"), LookupError("odd"), RuntimeError("odd"),
        onnx.checker.ValidationError("odd"), onnx.shape_inference.InferenceError("odd"),
        Fail("odd"), InvalidArgument("odd"), AssertionError(),
    ],
)  # fmt: skip
def test_what_the_quantiser_raises_blames_the_member(
    member: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(int8, "quant_pre_process", fail)
    with pytest.raises(MemberError, match=r"conv-f0.onnx: .*cannot quantise it: (odd|Assert)"):
        int8.to_int8(open_member(member), probe_images((9, 8, 8, 3)))


@pytest.mark.parametrize("does", ["save", "load"])
def test_a_disk_that_refuses_the_quantiser_blames_no_member(
    member: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    opened = open_member(member)
    monkeypatch.setattr(int8.onnx, does, fail)
    with pytest.raises(StoreError, match="cannot write .*No space left"):
        int8.to_int8(opened, probe_images((9, 8, 8, 3)))


def test_a_member_that_does_not_run_is_refused_before_any_image_is_read(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    card = toy_card("conv-f1", activation="none")
    broken = save_member(tmp_path / "folds", card, conv_model(card))
    for path in photographs.iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(MemberError, match="conv-f1.*activation"):
        library.quantize_members([member, broken], photographs, tmp_path / "int8")


def test_images_that_cannot_be_used_do_not_judge(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    for keep in (60, 70, 80):
        cut = (photographs / "img1.png").read_bytes()[:keep]
        (photographs / f"cut{keep}.png").write_bytes(cut)
    _, judging = divide(hash_sources(scan([photographs]).images, 1), 2)
    good = [image for image in judging if image.source.id.startswith("img")]
    assert len(good) < len(judging)
    (made,) = library.quantize_members(
        member, photographs, tmp_path / "int8", calibration=2, max_disagreement=1
    )
    assert made.card.source["judged_on"] == made.agreements[0].images == len(good)


def test_a_member_without_convolutions_or_products_is_refused(
    photographs: Path, tmp_path: Path
) -> None:
    card = toy_card("flat-f0")
    model = toy_model(card)
    model.graph.node[1].CopyFrom(helper.make_node("Einsum", ["flat", "matrix"], ["logits"],
                                                  equation="nk,kc->nc"))  # fmt: skip
    path = save_member(tmp_path / "folds", card, model)
    with pytest.raises(MemberError, match="nothing to quantise"):
        library.quantize_members(path, photographs, tmp_path / "int8")


def test_an_int8_member_is_not_quantised_again(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    made = make(member, photographs, tmp_path / "int8")
    with pytest.raises(MemberError, match="quantised already"):
        library.quantize_members(made, photographs, tmp_path / "again")


def test_the_float32_member_is_not_replaced(member: Path, photographs: Path) -> None:
    with pytest.raises(UsageError, match="would replace it"):
        library.quantize_members(member, photographs, member.parent)


def test_a_name_that_leads_out_of_the_folder_is_refused(
    photographs: Path, member: Path, tmp_path: Path
) -> None:
    model = onnx.load(member)
    model.metadata_props[0].value = model.metadata_props[0].value.replace("conv-f0", "../conv-f0")
    onnx.save(model, member)
    with pytest.raises(MemberError, match="no / "):
        library.quantize_members(member, photographs, tmp_path / "int8")
    assert {path.name for path in tmp_path.iterdir()} == {"folds", "photographs"}


def test_a_regression_is_refused(photographs: Path, tmp_path: Path) -> None:
    card = toy_card("age-f0", task="regression", activation="none")
    path = save_member(tmp_path / "folds", card, conv_model(card))
    with pytest.raises(MemberError, match="is a regression"):
        library.quantize_members(path, photographs, tmp_path / "int8")


@pytest.mark.parametrize("about", [{"channels": 1}, {"dynamic_size": True}])
def test_grey_and_dynamic_members_are_quantised(
    photographs: Path, tmp_path: Path, about: dict[str, int]
) -> None:
    card = toy_card("conv-f0", **about)  # type: ignore[arg-type]
    path = save_member(tmp_path / "folds", card, conv_model(card))
    assert make(path, photographs, tmp_path / "int8", 1).is_file()


def test_a_fixed_batch_calibrates_whole_batches(photographs: Path, tmp_path: Path) -> None:
    card = toy_card("conv-f0")
    path = save_member(tmp_path / "folds", card, conv_model(card, batch=5))
    assert open_member(make(path, photographs, tmp_path / "int8", 1)).batch == 5


def test_a_member_at_an_old_opset_is_quantised(photographs: Path, tmp_path: Path) -> None:
    card = toy_card("conv-f0")
    path = save_member(tmp_path / "folds", card, conv_model(card, opset=11))
    (made,) = library.quantize_members(path, photographs, tmp_path / "int8", max_disagreement=1)
    assert made.agreements[0].mean < 0.02


def test_external_data_moves_into_the_int8_member(photographs: Path, tmp_path: Path) -> None:
    card = toy_card("conv-f0")
    model = conv_model(card)
    convert_model_to_external_data(model, location="conv.data", size_threshold=0)
    path = tmp_path / "folds" / "conv-f0.onnx"
    path.parent.mkdir()
    onnx.save(model, path)
    write_sidecar(path, card)
    assert (path.parent / "conv.data").exists()
    (made,) = library.quantize_members(path, photographs, tmp_path / "int8", max_disagreement=1)
    assert made.agreements[0].mean < 0.02
    assert list((tmp_path / "int8").iterdir()) == [made.path]
    assert len(library.run(made.path, photographs, out=tmp_path / "run").ids) == 24


@pytest.fixture
def two_headed(tmp_path: Path) -> Path:
    """A member with a second head, whose logits are the first's in reverse."""
    card = toy_card("conv-f0")
    second = Head("kind", "kinds", "classification", "softmax", CLASSES)
    card = replace(card, heads=(*card.heads, second))
    model = conv_model(card)
    order = numpy_helper.from_array(np.array([2, 1, 0]), "order")
    model.graph.initializer.append(order)
    model.graph.node.append(helper.make_node("Gather", ["logits", "order"], ["kinds"], axis=1))
    shape = ["N", len(CLASSES)]
    model.graph.output.append(helper.make_tensor_value_info("kinds", TensorProto.FLOAT, shape))
    return save_member(tmp_path / "folds", card, model)


def test_every_head_is_judged(two_headed: Path, photographs: Path, tmp_path: Path) -> None:
    (made,) = library.quantize_members(
        two_headed, photographs, tmp_path / "int8", max_disagreement=1
    )
    assert [found.head for found in made.agreements] == ["label", "kind"]
    assert {"agreement:label", "agreement:kind"} <= set(open_member(made.path).card.source)


def test_labels_of_one_head_leave_the_other_without_accuracies(
    two_headed: Path, photographs: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n" + "".join(f"img{n},cat\n" for n in range(1, 25)))
    (made,) = library.quantize_members(
        two_headed, photographs, tmp_path / "int8", labels=labels, head="kind", max_disagreement=1
    )
    assert [found.accuracies is None for found in made.agreements] == [True, False]


def test_labels_give_accuracies(member: Path, photographs: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n" + "".join(f"img{n},cat\n" for n in range(1, 25)))
    (made,) = library.quantize_members(
        member, photographs, tmp_path / "int8", labels=labels, max_disagreement=1
    )
    before, after = made.agreements[0].accuracies or (-1, -1)
    assert 0 <= before <= 1
    assert 0 <= after <= 1


def test_it_says_what_few_images_cannot_show(
    member: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble("quantize", member, "--images", photographs, "--max-disagreement", "10%",
             "--out", tmp_path / "int8")  # fmt: skip
    said = capsys.readouterr().err
    assert "12 images judge: where none of their labels changes, 22.09% of others still may" in said


def test_a_member_that_is_there_is_replaced_with_force_only(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    made = make(member, photographs, tmp_path / "int8", 1)
    with pytest.raises(UsageError, match="conv-f0.onnx: there already; say --force"):
        make(member, photographs, tmp_path / "int8", 1)
    library.quantize_members(member, photographs, tmp_path / "int8", max_disagreement=1, force=True)
    assert made.exists()


def test_inspect_tells_an_int8_member(
    member: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble("inspect", make(member, photographs, tmp_path / "int8", 1))
    assert "int8 qdq" in capsys.readouterr().out
    ensemble("inspect", member)
    assert "int8" not in capsys.readouterr().out


def test_an_int8_member_is_made_and_judged_on_crops(
    member: Path, photographs: Path, tmp_path: Path
) -> None:
    crops = tmp_path / "crops.csv"
    rows = [f"img{n},1,1,7,7" for n in range(1, 25)]
    crops.write_text("\n".join(["id,left,top,right,bottom", *rows]))
    (made,) = library.quantize_members(
        member, photographs, tmp_path / "int8", crops=crops, margin=0.5, square=True,
        max_disagreement=0.5,
    )  # fmt: skip
    assert made.card.preprocess.crop == Crop(0.5, square=True)
    whole = make(member, photographs, tmp_path / "whole")
    assert open_member(whole).card.preprocess.crop is None
    assert made.path.read_bytes() != whole.read_bytes()
