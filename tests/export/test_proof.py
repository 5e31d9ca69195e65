"""An export is proven with the net itself, by whichever of torch's exporters agrees with it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from toys import toy_card

from ensemble.errors import MemberError
from ensemble.export import proof as proofs
from ensemble.export.exporters import Exporter, Order, to_graph
from ensemble.export.proof import Proof
from ensemble.members.card import Head
from ensemble.records import Size
from ensemble.runtime.session import run_once

HEAD = Head("label", "label", "classification", "softmax", ("cat", "dog", "eel"))


def make_net() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()


def proof_of(net: nn.Module, folder: Path, *, dynamic_size: bool = False) -> Proof:
    card = replace(toy_card("a-f0", size=Size(16, 16)), heads=(HEAD,), dynamic_size=dynamic_size)
    return Proof(Path("a.pt"), card, net, folder)


def assert_equal(proven: proofs.Proven, net: nn.Module, folder: Path) -> None:
    images = torch.randn(4, 3, 16, 16)
    with torch.inference_mode():
        expected = net(images)
    found = run_once(proven.model.SerializeToString(), {"image": images.numpy()}, folder)
    np.testing.assert_allclose(found["label"], expected, rtol=0, atol=1e-5)


def test_the_first_exporter_that_agrees_is_taken(tmp_path: Path) -> None:
    net = make_net()
    proven = proof_of(net, tmp_path).proven("a.onnx")
    assert (proven.exporter, proven.notes, proven.data) == ("dynamo", (), None)
    assert proven.difference <= 1e-5
    assert_equal(proven, net, tmp_path)


def test_where_the_first_refuses_the_other_is_tried_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(order: Order, exporter: Exporter, path: Path) -> object:
        if exporter == "dynamo":
            raise MemberError("KeyError: 'aten.odd'")
        return to_graph(order, exporter, path)

    monkeypatch.setattr(proofs, "to_graph", refuse)
    net = make_net()
    proven = proof_of(net, tmp_path).proven("a.onnx")
    assert proven.exporter == "torchscript"
    assert (
        "by TorchScript, since a.pt: torch cannot export the net: KeyError: 'aten.odd'"
        in (proven.notes[0])
    )
    assert_equal(proven, net, tmp_path)


def test_where_the_first_does_not_agree_the_other_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(order: Order, exporter: Exporter, path: Path) -> object:
        torch.manual_seed(9)
        net = nn.Sequential(*order.net.children(), nn.Linear(3, 3)).eval()
        return to_graph(replace(order, net=net) if exporter == "dynamo" else order, exporter, path)

    monkeypatch.setattr(proofs, "to_graph", other)
    net = make_net()
    proven = proof_of(net, tmp_path).proven("a.onnx")
    assert proven.exporter == "torchscript"
    assert "torch and ONNX Runtime differ by" in proven.notes[0]
    assert_equal(proven, net, tmp_path)


class Branching(nn.Module):
    """A net that goes by the values of its input, which no trace can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.net = make_net()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        sign = 1.0 if float(images.sum()) > 0 else -1.0
        return sign * self.net(images)  # type: ignore[no-any-return]


def test_a_net_that_goes_by_values_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match="a.pt: torch cannot export the net: .*data-dependent"):
        proof_of(Branching(), tmp_path).proven("a.onnx")


def test_a_trace_that_followed_the_values_of_its_images_does_not_agree(tmp_path: Path) -> None:
    proof = proof_of(Branching(), tmp_path)
    model, _ = proof.graph("torchscript", "a.onnx")
    with pytest.raises(MemberError, match="torch and ONNX Runtime differ by"):
        proof.verify(model.SerializeToString())


class Odd(nn.Module):
    """A net that raises what a net rarely raises."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError("odd")


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Odd(), "the net itself fails on images of 1x3x16x16: odd"),
        (nn.Flatten(), r"head 'label' is \(1, 768\); expected \(1, 3\)"),
        (nn.Sequential(make_net(), nn.Threshold(9e9, float("nan"))), "gives NaN or infinity"),
    ],
)
def test_a_net_is_checked_itself_first(net: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(MemberError, match=f"a.pt: .*{message}"):
        proof_of(net.eval(), tmp_path).check_net()


@pytest.mark.parametrize(
    ("axis", "dynamic_size", "what"), [(0, False, "batch"), (2, True, "size"), (3, True, "size")]
)
def test_axes_that_must_vary_are_checked(
    axis: int, dynamic_size: bool, what: str, tmp_path: Path
) -> None:
    proof = proof_of(make_net(), tmp_path, dynamic_size=dynamic_size)
    model, _ = proof.graph("torchscript", "a.onnx")
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    proof.check_graph(fixed)
    fixed.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 16
    with pytest.raises(MemberError, match=f"fixes its {what} while it is traced"):
        proof.check_graph(fixed)


class Cancelling(nn.Module):
    """A net whose float32 is off by its own rounding: large numbers that nearly cancel."""

    def __init__(self, *, doubles: bool = True) -> None:
        super().__init__()
        self.net = make_net()
        self.doubles = doubles

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not self.doubles and images.dtype == torch.float64:
            raise TypeError("float32 only")
        large = images.mean((2, 3)) * 30_000 + 10_000
        return self.net(images) + (large * 3 / 7 - large / 7 - large * 2 / 7)


def off(model: onnx.ModelProto, by: float) -> onnx.ModelProto:
    """Add so much to what a graph gives."""
    graph = model.graph
    (last,) = [node for node in graph.node if "label" in node.output]
    last.output[0] = "before"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(by, np.float32), "by"))
    graph.node.append(onnx.helper.make_node("Add", ["before", "by"], ["label"]))
    return model


@pytest.mark.parametrize(("doubles", "taken"), [(True, True), (False, False)])
def test_what_float32_itself_is_off_by_is_no_fault_of_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, doubles: bool, taken: bool
) -> None:
    proof = proof_of(Cancelling(doubles=doubles), tmp_path)
    images = proof.images(5, Size(16, 16))
    values = proof.torch_outputs(images)[0].numpy()
    with torch.inference_mode():
        exact = Cancelling().double()(images.double()).numpy()
    assert np.abs(values - exact).max() > 2e-4
    assert proof.is_rounding(images, 0, values, exact.astype(np.float32)) is taken


def test_a_graph_that_is_farther_off_than_float32_is_no_rounding(tmp_path: Path) -> None:
    proof = proof_of(Cancelling(), tmp_path)
    images = proof.images(5, Size(16, 16))
    values = proof.torch_outputs(images)[0].numpy()
    assert not proof.is_rounding(images, 0, values, values + np.float32(0.01))
    model, _ = proof.graph("dynamo", "a.onnx")
    with pytest.raises(MemberError, match=r"torch and ONNX Runtime differ by 0\.0"):
        proof.verify(off(model, 0.05).SerializeToString())
