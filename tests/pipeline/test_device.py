"""The device and the precision are settled before any work."""

import pytest

from ensemble.errors import UsageError
from ensemble.pipeline import device
from ensemble.pipeline.device import settled
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Precision


def precision_of(name: str, precision: Precision) -> Precision:
    recipe = resolve(Settings(("m.onnx",), ("i",), device=name, precision=precision))
    return settled(recipe).scoring.precision


@pytest.mark.parametrize(("there", "decided"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bfloat16_where_openvino_computes_in_it(
    there: bool, decided: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "computes_bf16", lambda: there)
    assert precision_of("openvino", "auto") == decided


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "tensorrt:1"])
def test_auto_is_float32_elsewhere(name: str) -> None:
    assert precision_of(name, "auto") == "fp32"


@pytest.mark.parametrize(
    ("name", "precision", "told"),
    [
        ("cpu", "bf16", "bf16 is for --device openvino; --device cpu has"),
        ("openvino", "fp16", "fp16 is for a GPU"),
        ("vino", "fp32", "expected auto, cpu, openvino"),
    ],
)
def test_a_precision_that_a_device_has_not_is_refused(
    name: str, precision: Precision, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        precision_of(name, precision)


def test_what_a_device_has_stays_as_it_was_said() -> None:
    assert precision_of("cuda", "fp16") == "fp16"
    assert precision_of("openvino", "fp32") == "fp32"
