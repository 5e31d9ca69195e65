"""Where a graph can run: devices, and why one does not start."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from ensemble.errors import UsageError
from ensemble.runtime import devices, nvidia
from ensemble.runtime.devices import CPU, CUDA, TENSORRT, check_device, numbers_of, provider_of


@pytest.mark.parametrize(
    "device", ["auto", "cpu", "openvino", "cuda", "cuda:3", "tensorrt", "tensorrt:0"]
)
def test_devices_that_there_are(device: str) -> None:
    check_device(device)


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cpu:1", "tensorrt:-1", "auto:0"])
def test_other_devices_are_refused(device: str) -> None:
    with pytest.raises(UsageError, match="expected auto, cpu, openvino, cuda"):
        check_device(device)


def test_several_gpus_are_named_only_where_several_may_be() -> None:
    check_device("cuda:0,1", several=True)
    with pytest.raises(UsageError, match="expected auto, cpu, openvino, cuda"):
        check_device("cuda:0,1")
    with pytest.raises(UsageError, match="cuda:<number>,<number>"):
        check_device("cpu:0,1", several=True)


def test_a_gpu_that_is_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="named twice"):
        check_device("cuda:1,1", several=True)


def test_a_device_tells_the_numbers_of_its_gpus() -> None:
    assert [numbers_of(d) for d in ("cuda", "cuda:3", "tensorrt:0,12")] == [(), (3,), (0, 12)]


def test_each_device_has_its_provider() -> None:
    assert [provider_of(d) for d in ("cpu", "cuda:1", "tensorrt:0")] == [CPU, CUDA, TENSORRT]


def test_what_tensorrt_lacks_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {nvidia.LIBRARY: SimpleNamespace()}
    monkeypatch.setattr(nvidia, "load", known.get)
    monkeypatch.setattr(devices.ort, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    assert devices.why_no_cuda() == ""
    assert "no TensorRT 10" in devices.why_no_tensorrt()
    known["libnvinfer.so.10"] = known["nvinfer_10.dll"] = SimpleNamespace()
    assert devices.why_no_tensorrt() == ""


def test_the_number_of_a_gpu_changes_no_provider() -> None:
    for kind in ("cuda", "tensorrt"):
        assert provider_of(kind) == provider_of(f"{kind}:7")


@pytest.mark.parametrize(("lacks", "device", "on_cpu"), [
    ("no driver", "auto", True), ("", "auto", False), ("no driver", "cuda", False),
    ("", "cpu", True), ("no driver", "tensorrt", False),
])  # fmt: skip
def test_auto_runs_on_the_cpu_where_cuda_lacks_something(
    lacks: str, device: str, on_cpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: lacks)
    assert devices.runs_on_cpu(device) is on_cpu


def test_a_wheel_without_cuda_is_told_before_a_driver_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices.ort, "get_available_providers", lambda: [CPU])
    assert devices.why_no_cuda() == "this onnxruntime is built without CUDA"
    assert devices.why_no_tensorrt() == "this onnxruntime is built without TensorRT"


def test_a_machine_without_a_driver_lacks_it_for_tensorrt_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: None)
    monkeypatch.setattr(devices.ort, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    assert devices.why_no(CUDA) == devices.why_no(TENSORRT) != ""
    assert nvidia.LIBRARY in devices.why_no(CUDA)


def test_nothing_stands_against_the_cpu() -> None:
    assert devices.why_no(CPU) == ""
    assert devices.start_providers()[CPU] == ""


def test_the_libraries_that_cannot_be_loaded_are_named_in_their_order() -> None:
    names = ("libno-such-one.so.1", "libno-such-two.so.2")
    assert devices.missing_libraries(names) == names
    assert devices.missing_libraries(()) == ()


def test_a_session_takes_the_threads_that_it_is_given() -> None:
    session = devices.open_session(devices._TINY, [CPU], 2, None)
    assert session.get_session_options().intra_op_num_threads == 2
    assert session.get_providers() == [CPU]


def test_the_tiny_model_gives_back_what_it_gets() -> None:
    session = devices.open_session(devices._TINY, [CPU], 1, None)
    (found,) = session.run(["y"], {"x": np.array([2.5], np.float32)})
    assert found.tolist() == [2.5]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("first\nsecond"), "first"),
        (RuntimeError("  \n padded \n"), "padded"),
        (RuntimeError(), "RuntimeError()"),
        (RuntimeError("word " * 200), "word " * 59 + "…"),
    ],
)
def test_an_error_is_told_by_its_first_line_cut_short(error: Exception, line: str) -> None:
    assert devices.first_line(error) == line
    assert len(line) <= 300


def test_a_process_counts_the_processors_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert devices.available_threads() == 3


def test_where_a_system_tells_no_processors_one_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert devices.available_threads() == 1


def seen(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the driver show GPUs of these models."""
    gpus = tuple(nvidia.Gpu(number, name, 0) for number, name in enumerate(names))
    monkeypatch.setattr(nvidia, "gpus", lambda: gpus)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "tensorrt:1"])
def test_a_number_that_a_gpu_has_is_no_reason(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, "T4", "T4")
    assert devices.why_hidden(device) == ""


def test_without_a_gpu_in_sight_the_number_is_not_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen(monkeypatch)
    assert devices.why_hidden("cuda:3") == ""


@pytest.mark.parametrize(
    ("hidden", "told"),
    [("0,1", "2 GPUs, as CUDA_VISIBLE_DEVICES=0,1 hides"), (None, "2 GPUs, and")],
)
def test_a_number_beyond_the_last_gpu_is_told_with_what_hides_some(
    hidden: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(monkeypatch, "T4", "T4")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert told in devices.why_hidden("tensorrt:2")
    assert "Say tensorrt:1 for the last" in devices.why_hidden("tensorrt:2")


def test_an_engine_is_for_the_gpu_that_the_device_names(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, "T4", "L4")
    monkeypatch.setattr(nvidia, "driver", lambda: "580.95")
    monkeypatch.setattr(
        nvidia, "load", lambda _: SimpleNamespace(getInferLibVersion=lambda: 101300)
    )
    assert devices.engine_host("tensorrt") == ("T4", "580.95", "101300")
    assert devices.engine_host("tensorrt:1") == ("L4", "580.95", "101300")


def test_what_does_not_tell_is_no_part_of_an_engines_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: None)
    assert devices.engine_host("tensorrt") == ("", "0", "")
