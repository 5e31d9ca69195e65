"""What ONNX Runtime raises on a batch becomes an error that tells what to do."""

import pytest

from ensemble.errors import GpuGoneError, OutOfMemoryError, ScoreError
from ensemble.runtime.failures import translated


@pytest.mark.parametrize(
    "text",
    [
        "CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=box",
        "CUDA error 999: unknown error",
        "CUDA failure 46: all CUDA-capable devices are busy or unavailable",
        "CUDNN failure 4000: an illegal memory access was encountered",
        "CUDA failure 100: no CUDA-capable device is detected",
        "the device was lost: uncorrectable ECC error encountered",
    ],
)
def test_a_gpu_that_is_gone_is_told_with_what_goes_on(text: str) -> None:
    told = "the GPU failed, or is gone: .*the same command goes on"
    with pytest.raises(GpuGoneError, match=told), translated():
        raise RuntimeError(text)


@pytest.mark.parametrize(
    "text", ["CUDA failure 2: out of memory", "BFCArena: Failed to allocate memory for 700 bytes"]
)
def test_memory_that_runs_out_is_no_gpu_that_is_gone(text: str) -> None:
    with pytest.raises(OutOfMemoryError), translated():
        raise RuntimeError(text)


@pytest.mark.parametrize("text", ["a shape is wrong: 100 and 719", "CUDA failure 1007: odd"])
def test_another_failure_names_onnx_runtime(text: str) -> None:
    with pytest.raises(ScoreError, match="^ONNX Runtime failed: "), translated():
        raise RuntimeError(text)


def test_what_is_no_failure_of_onnx_runtime_passes() -> None:
    with pytest.raises(KeyboardInterrupt), translated():
        raise KeyboardInterrupt
