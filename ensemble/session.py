"""Running a graph: the one place for ONNX Runtime, and the seam that tests replace.

ONNX Runtime falls back to the CPU without a word, and `get_available_providers()` names what was
compiled in, not what starts. Only a session's own `get_providers()[0]` tells what runs, so that
is what is checked.
"""

import contextlib
import io
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Final, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ensemble import driver
from ensemble.arrays import Pixels, Probs
from ensemble.binding import IN_FLIGHT, Bound, Ports
from ensemble.errors import MemberError, OutOfMemoryError, ProviderError, ScoreError, UsageError
from ensemble.files import refused
from ensemble.spec import Precision

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
GPU: Final = (CUDA, TENSORRT)
"""The providers that tune themselves for the shape of a batch: every batch is padded to one."""

_TENSORRT_LIBRARY: Final = "nvinfer_10.dll" if os.name == "nt" else "libnvinfer.so.10"
_CUDA_OPTIONS: Final = {
    "cudnn_conv_algo_search": "EXHAUSTIVE",  # once a shape, and there is one
    "cudnn_conv_use_max_workspace": "1",
    "arena_extend_strategy": "kSameAsRequested",  # members share the memory of one GPU
    "use_tf32": "0",  # float32 is float32
}
_QUIETENING: Final = threading.Lock()
_SILENT: Final = 4
_EXTERNAL_FOLDER: Final = "session.model_external_initializers_file_folder_path"
_TINY: Final = (
    b'\x08\x08\x12\x00:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08'
    b"\x01\x12\x04\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)
"""An ONNX model: y = Identity(x) of one float, at opset 13."""

_NO_MEMORY: Final = re.compile(
    "failed to allocate memory|BFCArena|bad_alloc|out.of.memory|ALLOC_FAILED", re.IGNORECASE
)
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


_Provider: TypeAlias = str | tuple[str, dict[str, str]]


class Scorer(Protocol):
    """Scores images: the one seam between the engine and whatever computes."""

    @property
    def provider(self) -> str:
        """The provider that really runs, such as "CPUExecutionProvider"."""

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return each output, float32 (N, C), of uint8 images (N, H, W, C)."""


@dataclass(frozen=True, slots=True)
class FakeScorer:
    """A scorer without a model: the mean colour of each image, turned into probabilities.

    Its answers depend on every pixel of an image and on nothing else, so that tests of batching,
    resume and fusion can tell a swapped image from the right one.
    """

    columns: Mapping[str, int]
    provider: str = "FakeExecutionProvider"
    calls: list[int] = field(default_factory=list)

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return for each output, float32 (N, C), rows that sum to 1."""
        self.calls.append(len(images))
        weights = 1 + np.arange(images[0].size, dtype=np.float64)
        level = (images.reshape(len(images), -1) @ weights) / (255 * weights.sum())
        return {name: _spread(level, columns) for name, columns in self.columns.items()}


class OnnxScorer:
    """A session over a composed graph; its outputs are asked for once, at the start.

    On the CPU a batch is scored by one thread, and `lanes` batches may be at once: no thread waits
    for another at the end of an operator, and a small batch stays in the cache. On a GPU batches go
    through bound memory, `binding.IN_FLIGHT` at once.
    """

    _bound: Bound | None = None

    def __init__(
        self,
        model: bytes,
        outputs: Mapping[str, str],
        *,
        device: str = "auto",
        threads: int = 0,
        folder: Path | None = None,
        precision: Precision = "fp32",
        cache: Path | None = None,
    ) -> None:
        """Start a session.

        Args:
            model: The serialised graph, with one uint8 input.
            outputs: The graph's output for each name that `score` returns.
            device: "auto", "cpu", "cuda" or "cuda:1", "tensorrt" or "tensorrt:1".
            threads: Threads in all; 0 takes the processors this process may use.
            folder: Where external data lies.
            precision: What TensorRT may compute in; for the others the graph decides.
            cache: Where TensorRT keeps the engines of this graph and no other, as it tells them
                apart by the names of nodes, not by weights; None for nowhere.

        Raises:
            MemberError: ONNX Runtime refuses the graph; for "auto", on the CPU too.
            ProviderError: the device that was asked for does not start.
            StoreError: the disk refused the folder of the engines.
        """
        self._outputs = dict(outputs)
        threads = threads or available_threads()
        check_device(device)
        providers = _providers(device, precision, cache)
        self.why_cpu: str = ""
        """Why "auto" took the CPU, where it did."""
        if device == "auto":
            self._session, self.why_cpu = _start_auto(model, providers, threads, folder)
        else:
            within = threads if providers != [CPU] else 1
            self._session = _start(model, device, providers, within, folder)
        self._input = self._session.get_inputs()[0].name
        self.provider: str = self._session.get_providers()[0]
        self.lanes: int = threads if self.provider == CPU else IN_FLIGHT
        if self.provider in GPU:
            self._bound = bind(self._session, self._outputs, device)

    @property
    def pinned(self) -> bool | None:
        """Whether the pages that a GPU reads are locked; None on the CPU and before a batch."""
        return self._bound.pinned if self._bound else None

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return each output, float32 (N, C), of uint8 images (N, H, W, C).

        Raises:
            ScoreError: ONNX Runtime failed on the batch.
        """
        if self._bound is None:
            return self.outputs(images, self._outputs)
        with _translated():
            return self._bound.score(images)

    def outputs(
        self, images: Pixels, names: Mapping[str, str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Return other outputs of the graph, by the names that the caller gives them."""
        with _translated():
            values = self._session.run(list(names.values()), {self._input: images})
        return dict(zip(names, cast(list[Probs], values), strict=True))


def score_as(member: str, scorer: Scorer, images: Pixels) -> Mapping[str, Probs]:
    """Return each output, float32 (N, C), of uint8 images (N, H, W, C) that a member scores.

    Raises:
        OutOfMemoryError: memory ran out; names the member and the batch.
        ScoreError: the member failed; names both too.
    """
    what = f"member {member}, batch of {len(images)}"
    try:
        return scorer.score(images)
    except OutOfMemoryError as error:
        message = f"{what}: {error}. Use fewer views, or another --device"
        raise OutOfMemoryError(message) from error
    except ScoreError as error:
        raise ScoreError(f"{what}: {error}") from error


def bind(session: ort.InferenceSession, outputs: Mapping[str, str], device: str) -> Bound:
    """Bind a session's input and outputs to memory that stays; see `binding`.

    Args:
        session: Over a composed graph.
        outputs: The graph's output for each name, float32 (N, C).
        device: Which GPU reads the pixels, as "cuda:1".
    """
    columns = {output.name: int(output.shape[1]) for output in session.get_outputs()
               if output.name in outputs.values()}  # fmt: skip
    ports = Ports(
        session.get_inputs()[0].name,
        {name: (output, columns[output]) for name, output in outputs.items()},
    )
    index = int(device.partition(":")[2] or 0)
    pin = partial(driver.pin, device=index)
    return Bound(session, ports, ort.OrtValue.ortvalue_from_numpy, pin)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RUNTIME_ERRORS as error:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            raise OutOfMemoryError(f"out of memory: {_first_line(error)}") from error
        raise ScoreError(f"ONNX Runtime failed: {_first_line(error)}") from error


def run_once(
    model: bytes, inputs: Mapping[str, NDArray[np.float32]], folder: Path | None = None
) -> dict[str, NDArray[np.float32]]:
    """Run a graph once on the CPU: its outputs by name, for the inputs by name.

    Raises:
        MemberError: ONNX Runtime refuses the graph or the inputs.
    """
    session = _start(model, "cpu", [CPU], available_threads(), folder)
    names = [output.name for output in session.get_outputs()]
    try:
        values = session.run(names, dict(inputs))
    except RUNTIME_ERRORS as error:
        raise MemberError(f"ONNX Runtime cannot run it: {_first_line(error)}") from error
    return dict(zip(names, cast(list[NDArray[np.float32]], values), strict=True))


def available_threads() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def why_no_cuda() -> str:
    """Return why CUDA cannot start here, as far as that shows without starting it; else ""."""
    if CUDA not in ort.get_available_providers():
        return "this onnxruntime is built without CUDA"
    if driver.load(driver.LIBRARY) is None:
        return f"no NVIDIA driver ({driver.LIBRARY} is missing)"
    return ""


def why_no_tensorrt() -> str:
    """Return why TensorRT cannot start here, as far as that shows without starting it; else ""."""
    if TENSORRT not in ort.get_available_providers():
        return "this onnxruntime is built without TensorRT"
    if reason := why_no_cuda():
        return reason
    if driver.load(_TENSORRT_LIBRARY) is None:
        return f"no TensorRT 10 ({_TENSORRT_LIBRARY} is missing)"
    return ""


def start_providers() -> dict[str, str]:
    """Open a tiny session on each provider: "" where it really runs, else why it does not."""
    _quieten()
    return {name: _why_not(name) for name in ort.get_available_providers()}


def missing_libraries(names: Sequence[str]) -> tuple[str, ...]:
    """Return the shared libraries that cannot be loaded here, of Linux names."""
    _quieten()
    return tuple(name for name in names if driver.load(name) is None)


def check_device(device: str) -> None:
    """Check the spelling of a device.

    Raises:
        UsageError: it is not "auto", "cpu", "cuda" or "tensorrt", the last two perhaps with the
            number of a GPU, as in "cuda:1".
    """
    if re.fullmatch(r"auto|cpu|(cuda|tensorrt)(:[0-9]+)?", device) is None:
        raise UsageError(
            f"device {device!r}: expected auto, cpu, cuda, cuda:<number>, tensorrt or "
            f"tensorrt:<number>"
        )


def runs_on_cpu(device: str) -> bool:
    """Tell whether a session on a device will run on the CPU, as far as shows beforehand."""
    return device == "cpu" or (device == "auto" and bool(why_no_cuda()))


def provider_of(device: str) -> str:
    """Return the provider that a device other than "auto" asks for."""
    kind = device.partition(":")[0]
    return {"cuda": CUDA, "tensorrt": TENSORRT}.get(kind, CPU)


def _open(
    model: bytes, providers: Sequence[_Provider], threads: int, folder: Path | None
) -> ort.InferenceSession:
    """Open a session; what ONNX Runtime raises passes through."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # against decoders
    options.log_severity_level = _SILENT
    if folder is not None:
        options.add_session_config_entry(_EXTERNAL_FOLDER, str(folder.resolve()))
    return ort.InferenceSession(model, options, providers=providers, enable_fallback=0)


def _start(
    model: bytes, device: str, providers: Sequence[_Provider], threads: int, folder: Path | None
) -> ort.InferenceSession:
    """Start a session on the device that was asked for, and on no other."""
    wanted = provider_of(device)
    try:
        session = _open(model, providers, threads, folder)
    except RUNTIME_ERRORS as error:
        if wanted in GPU:
            raise _not_started(device, _why_no(wanted) or _first_line(error)) from error
        raise MemberError(f"ONNX Runtime refuses the graph: {_first_line(error)}") from error
    active = session.get_providers()[0]
    if wanted in GPU and active != wanted:
        raise _not_started(device, _why_no(wanted) or f"the session runs on {active}")
    return session


def _start_auto(
    model: bytes, providers: Sequence[_Provider], threads: int, folder: Path | None
) -> tuple[ort.InferenceSession, str]:
    """Start a session on the GPU, or else on the CPU; and say why not on the GPU."""
    reason = why_no_cuda()
    if not reason:
        try:
            session = _open(model, providers, threads, folder)
            if session.get_providers()[0] != CPU:
                return session, ""
            reason = "CUDA does not start; see `ensemble doctor`"
        except RUNTIME_ERRORS as error:  # of the GPU, or of the graph: that the CPU tells
            reason = f"CUDA does not start: {_first_line(error)}"
    return _start(model, "cpu", [CPU], 1, folder), reason


def _providers(device: str, precision: Precision, cache: Path | None) -> list[_Provider]:
    """Return what ONNX Runtime tries in turn; what runs in the end is checked by `_start`."""
    if runs_on_cpu(device):
        return [CPU]
    _quieten()
    index = {"device_id": device.partition(":")[2] or "0"}
    cuda = (CUDA, index | _CUDA_OPTIONS)
    if provider_of(device) != TENSORRT:
        return [cuda, CPU]
    engines = {"trt_fp16_enable": "1" if precision == "fp16" else "0"}
    if cache is not None:
        _make(cache)
        engines |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache.resolve())}
    return [(TENSORRT, index | engines), cuda, CPU]


def _make(folder: Path) -> None:
    """Make a folder and those above it: TensorRT itself makes the last one only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused("make", folder, error) from error


def _quieten() -> None:
    """Load the libraries of CUDA that pip installed, and say nothing of the others."""
    ort.set_default_logger_severity(_SILENT)
    if hasattr(ort, "preload_dlls"):
        with _QUIETENING, contextlib.redirect_stdout(io.StringIO()):  # it prints what is missing
            ort.preload_dlls()


def _why_not(provider: str) -> str:
    if reason := _why_no(provider):
        return reason
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    try:
        session = ort.InferenceSession(_TINY, options, providers=[provider], enable_fallback=0)
    except RUNTIME_ERRORS as error:
        return _first_line(error)
    active = session.get_providers()[0]
    return "" if active == provider else f"the session runs on {active}"


def _why_no(provider: str) -> str:
    match provider:
        case "CUDAExecutionProvider":
            return why_no_cuda()
        case "TensorrtExecutionProvider":
            return why_no_tensorrt()
    return ""


def _not_started(device: str, reason: str) -> ProviderError:
    name, remedy = "CUDA", "install the libraries with the extra `cuda`, or use --device auto"
    if provider_of(device) == TENSORRT:
        name, remedy = "TensorRT", "see docs/gpu.md for its libraries, or use --device cuda"
    return ProviderError(
        f"device {device} was asked for, but {name} does not start: {reason}. Check the driver "
        f"with nvidia-smi and {remedy}"
    )


def _first_line(error: BaseException) -> str:
    first = (str(error).strip() or repr(error)).splitlines()[0]
    return shorten(first, 300, placeholder=" …")


def _spread(level: NDArray[np.float64], columns: int) -> Probs:
    logits = np.cos(np.outer(level * 40, 1 + np.arange(columns)))
    powers = np.exp(logits)
    return cast(Probs, (powers / powers.sum(1, keepdims=True)).astype(np.float32))
