"""The device and the precision of a recipe, settled before any work."""

from dataclasses import replace

from ensemble.errors import UsageError
from ensemble.recipe.resolve import Recipe
from ensemble.records import Precision
from ensemble.runtime.devices import OPENVINO, check_device, provider_of
from ensemble.runtime.openvino import computes_bf16


def settled(recipe: Recipe) -> Recipe:
    """Return a recipe whose precision is decided: "auto" is the quickest that the device has.

    That is bfloat16 by OpenVINO, where the processor has it, and float32 elsewhere.

    Raises:
        UsageError: the device is misspelt, or has no such precision.
        ProviderError: OpenVINO is asked for and not installed.
    """
    scoring = recipe.scoring
    check_device(scoring.device, several=True)
    precision = _precision(scoring.device, scoring.precision)
    return replace(recipe, scoring=replace(scoring, precision=precision))


def _precision(device: str, precision: Precision) -> Precision:
    openvino = provider_of(device) == OPENVINO
    if precision == "auto":
        return "bf16" if openvino and computes_bf16() else "fp32"
    if precision == "bf16" and not openvino:
        raise UsageError(
            f"--precision bf16 is for --device openvino; --device {device} has fp32 and fp16"
        )
    if precision == "fp16" and openvino:
        raise UsageError("--precision fp16 is for a GPU; --device openvino has fp32, bf16 and auto")
    return precision
