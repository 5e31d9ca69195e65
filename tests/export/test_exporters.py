"""Torch's two exporters give one graph, without traces of the machine, or the cause why not."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from ensemble.errors import MemberError
from ensemble.export import exporters
from ensemble.export.exporters import EXPORTERS, Exporter, Order, to_graph
from ensemble.runtime.session import run_once


def make_order(dynamic_size: bool = False) -> Order:
    torch.manual_seed(4)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    return Order(net.eval(), ("label",), torch.randn(2, 3, 16, 16), dynamic_size)


def outputs(
    model: onnx.ModelProto, images: torch.Tensor, folder: Path
) -> Mapping[str, NDArray[np.float32]]:
    return run_once(model.SerializeToString(), {"image": images.numpy()}, folder)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize(("dynamic", "size"), [(False, 16), (True, 48)])
def test_a_graph_gives_what_the_net_gives(
    dynamic: bool, size: int, exporter: Exporter, tmp_path: Path
) -> None:
    order = make_order(dynamic)
    model, data = to_graph(order, exporter, tmp_path / "a.onnx")
    images = torch.randn(5, 3, size, size)
    with torch.inference_mode():
        expected = order.net(images)
    assert data is None
    found = outputs(model, images, tmp_path)
    np.testing.assert_allclose(found["label"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_large_weights_lie_beside(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporters, "_ONE_FILE", 0)
    order = make_order()
    model, data = to_graph(order, exporter, tmp_path / "a.onnx")
    assert data == tmp_path / "a.onnx.data"
    assert data.is_file()
    with torch.inference_mode():
        expected = order.net(order.images)
    found = outputs(model, order.images, tmp_path)
    np.testing.assert_allclose(found["label"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_graph_tells_nothing_of_the_machine(exporter: Exporter, tmp_path: Path) -> None:
    model, _ = to_graph(make_order(), exporter, tmp_path / "a.onnx")
    data = model.SerializeToString()
    assert str(Path(__file__).parent).encode() not in data
    assert b"stack_trace" not in data
    assert model.ir_version <= exporters.MAX_IR
    assert [opset.version for opset in model.opset_import] == [exporters.OPSET]


class Raising(nn.Module):
    """A net that raises what no exporter expects."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError("deep inside")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_refusal_tells_what_it_came_from(exporter: Exporter, tmp_path: Path) -> None:
    order = Order(Raising().eval(), ("label",), torch.randn(2, 3, 4, 4), False)
    with pytest.raises(MemberError, match="deep inside"):
        to_graph(order, exporter, tmp_path / "a.onnx")
