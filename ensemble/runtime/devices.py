"""Where a graph can run: the devices, what really starts here, and why the rest does not.

ONNX Runtime falls back to the CPU without a word, and `get_available_providers()` names what was
compiled in, not what starts. Only a session's own `get_providers()[0]` tells what runs, so that
is what is checked.
"""

import contextlib
import io
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Final, TypeAlias

from ensemble.cores import cores
from ensemble.errors import ProviderError, UsageError, counted
from ensemble.runtime import nvidia

try:
    import onnxruntime as ort
except ModuleNotFoundError as error:
    raise ProviderError("onnxruntime cannot be imported; see `ensemble doctor`") from error
if not hasattr(ort, "InferenceSession"):
    raise ProviderError(
        "the package onnxruntime is empty, as after uninstalling one of two wheels; see "
        "`ensemble doctor`"
    )

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
OPENVINO: Final = "OpenVINO"
"""Not ONNX Runtime's: the package itself; see `runtime.openvino`."""
GPU: Final = (CUDA, TENSORRT)
PADDED: Final = (*GPU, OPENVINO)
"""What tunes itself, or is compiled, for the shape of a batch: every batch is padded to one."""

_TENSORRT_LIBRARY: Final = "nvinfer_10.dll" if os.name == "nt" else "libnvinfer.so.10"
_QUIETENING: Final = threading.Lock()
_SILENT: Final = 4
_EXTERNAL_FOLDER: Final = "session.model_external_initializers_file_folder_path"
_TINY: Final = (
    b'\x08\x08\x12\x00:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08'
    b"\x01\x12\x04\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)
"""An ONNX model: y = Identity(x) of one float, at opset 13."""

RUNTIME_ERRORS: Final = (
    ort.capi.onnxruntime_pybind11_state.Fail,
    ort.capi.onnxruntime_pybind11_state.InvalidArgument,
    ort.capi.onnxruntime_pybind11_state.InvalidGraph,
    ort.capi.onnxruntime_pybind11_state.NotImplemented,
    ort.capi.onnxruntime_pybind11_state.RuntimeException,
    ort.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    ort.capi.onnxruntime_pybind11_state.NoSuchFile,
    ort.capi.onnxruntime_pybind11_state.EPFail,
    RuntimeError,
    ValueError,
    LookupError,
    MemoryError,
)
"""What ONNX Runtime raises."""

Provider: TypeAlias = str | tuple[str, dict[str, str]]
"""A provider, perhaps with its options, as ONNX Runtime takes it."""

to_device: Final = ort.OrtValue.ortvalue_from_numpy
"""Put an array into memory of a device, given by its kind and number."""


def available_threads() -> int:
    """Return how many processors this process may use."""
    return cores()


def check_device(device: str, *, several: bool = False) -> None:
    """Check the spelling of a device, or of `several`, as in "cuda:0,1".

    Raises:
        UsageError: it is not "auto", "cpu", "openvino", "cuda" or "tensorrt", the last two perhaps
            with the number of a GPU, as in "cuda:1"; or a number is there twice.
    """
    more = "(,[0-9]+)*" if several else ""
    numbers = numbers_of(device)
    if re.fullmatch(rf"auto|cpu|openvino|(cuda|tensorrt)(:[0-9]+{more})?", device) is None:
        lists = ", cuda:<number>,<number>" if several else ""
        raise UsageError(
            f"device {device!r}: expected auto, cpu, openvino, cuda, cuda:<number>{lists}, "
            f"tensorrt or tensorrt:<number>"
        )
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"device {device!r}: a GPU is named twice; name each once")


def numbers_of(device: str) -> tuple[int, ...]:
    """Return the numbers of the GPUs that a device names; none where it names none."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", device.partition(":")[2]))


def provider_of(device: str) -> str:
    """Return the provider that a device other than "auto" asks for."""
    kind = device.partition(":")[0]
    return {"cuda": CUDA, "tensorrt": TENSORRT, "openvino": OPENVINO}.get(kind, CPU)


def runs_on_cpu(device: str) -> bool:
    """Tell whether a session on a device will run on the CPU, as far as shows beforehand."""
    return device in ("cpu", "openvino") or (device == "auto" and bool(why_no_cuda()))


def why_no_cuda() -> str:
    """Return why CUDA cannot start here, as far as that shows without starting it; else ""."""
    if CUDA not in ort.get_available_providers():
        return "this onnxruntime is built without CUDA"
    if nvidia.load(nvidia.LIBRARY) is None:
        return f"no NVIDIA driver ({nvidia.LIBRARY} is missing)"
    return ""


def why_no_tensorrt() -> str:
    """Return why TensorRT cannot start here, as far as that shows without starting it; else ""."""
    if TENSORRT not in ort.get_available_providers():
        return "this onnxruntime is built without TensorRT"
    if reason := why_no_cuda():
        return reason
    if nvidia.load(_TENSORRT_LIBRARY) is None:
        return f"no TensorRT 10 ({_TENSORRT_LIBRARY} is missing)"
    return ""


def why_hidden(device: str) -> str:
    """Return why a GPU's number is not that of one here, where the driver shows others; else ""."""
    number, there = number_of(device), nvidia.gpus()
    if not there or number < len(there):
        return ""
    hidden = os.environ.get(nvidia.HIDING)
    why = "" if hidden is None else f", as {nvidia.HIDING}={hidden} hides the others"
    last = len(there) - 1
    return (
        f"there is no GPU {number}: this process may use {counted(len(there), 'GPU')}{why}, and "
        f"they count from 0. Say {device.partition(':')[0]}:{last} for the last"
    )


def engine_host(device: str) -> tuple[str, str, str]:
    """Return what an engine of TensorRT is built for: the GPU's model, the driver, TensorRT.

    An engine of another one may be refused, or run slowly, or wrong. What does not tell is "".
    """
    names = {gpu.number: gpu.name for gpu in nvidia.gpus()}
    library = nvidia.load(_TENSORRT_LIBRARY)
    release = "" if library is None else str(library.getInferLibVersion())
    return names.get(number_of(device), ""), nvidia.driver() or str(nvidia.version()), release


def number_of(device: str) -> int:
    """Return the number of the GPU that a device names, 0 where it names none."""
    return int(device.partition(":")[2] or 0)


def why_no(provider: str) -> str:
    match provider:
        case "CUDAExecutionProvider":
            return why_no_cuda()
        case "TensorrtExecutionProvider":
            return why_no_tensorrt()
    return ""


def start_providers() -> dict[str, str]:
    """Open a tiny session on each provider: "" where it really runs, else why it does not."""
    quieten()
    return {name: _why_not(name) for name in ort.get_available_providers()}


def missing_libraries(names: Sequence[str]) -> tuple[str, ...]:
    """Return the shared libraries that cannot be loaded here, of Linux names."""
    quieten()
    return tuple(name for name in names if nvidia.load(name) is None)


def open_session(
    model: bytes | str, providers: Sequence[Provider], threads: int, folder: Path | None
) -> ort.InferenceSession:
    """Open a session over a graph, or over the file of one; what ONNX Runtime raises passes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # against decoders
    options.log_severity_level = _SILENT
    if folder is not None:
        options.add_session_config_entry(_EXTERNAL_FOLDER, str(folder.resolve()))
    return ort.InferenceSession(model, options, providers=providers, enable_fallback=0)


def quieten() -> None:
    """Load the libraries of CUDA that pip installed, and say nothing of the others."""
    ort.set_default_logger_severity(_SILENT)
    if hasattr(ort, "preload_dlls"):
        with _QUIETENING, contextlib.redirect_stdout(io.StringIO()):  # it prints what is missing
            ort.preload_dlls()


def first_line(error: BaseException) -> str:
    first = (str(error).strip() or repr(error)).splitlines()[0]
    return shorten(first, 300, placeholder=" …")


def _why_not(provider: str) -> str:
    if reason := why_no(provider):
        return reason
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    try:
        session = ort.InferenceSession(_TINY, options, providers=[provider], enable_fallback=0)
    except RUNTIME_ERRORS as error:
        return first_line(error)
    active = session.get_providers()[0]
    return "" if active == provider else f"the session runs on {active}"
