"""Where a graph can run: devices, and why one does not start."""

from types import SimpleNamespace

import pytest

from ensemble.errors import UsageError
from ensemble.runtime import devices as providers
from ensemble.runtime import nvidia as driver
from ensemble.runtime.devices import CPU, CUDA, TENSORRT, check_device, provider_of


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:3", "tensorrt", "tensorrt:0"])
def test_devices_that_there_are(device: str) -> None:
    check_device(device)


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cpu:1", "tensorrt:-1", "auto:0"])
def test_other_devices_are_refused(device: str) -> None:
    with pytest.raises(UsageError, match="expected auto, cpu, cuda"):
        check_device(device)


def test_each_device_has_its_provider() -> None:
    assert [provider_of(d) for d in ("cpu", "cuda:1", "tensorrt:0")] == [CPU, CUDA, TENSORRT]


def test_what_tensorrt_lacks_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {driver.LIBRARY: SimpleNamespace()}
    monkeypatch.setattr(driver, "load", known.get)
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    assert providers.why_no_cuda() == ""
    assert "no TensorRT 10" in providers.why_no_tensorrt()
    known["libnvinfer.so.10"] = known["nvinfer_10.dll"] = SimpleNamespace()
    assert providers.why_no_tensorrt() == ""
