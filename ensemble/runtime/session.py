"""Running a graph: the session behind the seam, on the device that was asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pixels, Probs
from ensemble.errors import MemberError, ProviderError
from ensemble.files.atomic import disk_error
from ensemble.records import Precision
from ensemble.runtime import nvidia
from ensemble.runtime.binding import IN_FLIGHT, Bound, Ports
from ensemble.runtime.devices import (
    CPU,
    CUDA,
    GPU,
    RUNTIME_ERRORS,
    TENSORRT,
    Provider,
    available_threads,
    check_device,
    first_line,
    number_of,
    open_session,
    provider_of,
    quieten,
    runs_on_cpu,
    to_device,
    why_hidden,
    why_no,
    why_no_cuda,
)
from ensemble.runtime.failures import translated

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_CUDA_OPTIONS: Final = {
    "cudnn_conv_algo_search": "EXHAUSTIVE",  # once a shape, and there is one
    "cudnn_conv_use_max_workspace": "1",
    "arena_extend_strategy": "kSameAsRequested",  # members share the memory of one GPU
    "use_tf32": "0",  # float32 is float32
}


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
            within = threads if providers != [CPU] else 1  # on the CPU lanes use the threads
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
        with translated():
            return self._bound.score(images)

    def outputs(
        self, images: Pixels, names: Mapping[str, str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Return other outputs of the graph, by the names that the caller gives them."""
        with translated():
            values = self._session.run(list(names.values()), {self._input: images})
        return dict(zip(names, cast(list[Probs], values), strict=True))


def bind(session: "InferenceSession", outputs: Mapping[str, str], device: str) -> Bound:
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
    pin = partial(nvidia.pin, device=number_of(device))
    return Bound(session, ports, to_device, pin)


def run_once(
    model: bytes, inputs: Mapping[str, NDArray[np.float32]], folder: Path | None = None
) -> dict[str, NDArray[np.float32]]:
    """Run a graph once on the CPU: its outputs by name, for the inputs by name.

    Raises:
        MemberError: ONNX Runtime refuses the graph or the inputs.
    """
    session = _start(model, "cpu", [CPU], available_threads(), folder)
    return {name: cast(NDArray[np.float32], value) for name, value in _ran(session, inputs).items()}


def run_file(
    path: Path, batches: Iterable[Mapping[str, NDArray[np.uint8]]]
) -> Iterator[dict[str, NDArray[np.generic]]]:
    """Run an ONNX file on the CPU as it lies there; yield each batch's outputs by name.

    Raises:
        MemberError: ONNX Runtime refuses the file, its external data, or a batch.
    """
    session = _start(str(path), "cpu", [CPU], available_threads(), None)
    for inputs in batches:
        yield _ran(session, inputs)


def _ran(
    session: "InferenceSession", inputs: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    names = [output.name for output in session.get_outputs()]
    try:
        values = session.run(names, dict(inputs))
    except RUNTIME_ERRORS as error:
        raise MemberError(f"ONNX Runtime cannot run it: {first_line(error)}") from error
    return dict(zip(names, cast(list[NDArray[np.generic]], values), strict=True))


def _start(
    model: bytes | str,
    device: str,
    providers: Sequence[Provider],
    threads: int,
    folder: Path | None,
) -> "InferenceSession":
    """Start a session on the device that was asked for, and on no other."""
    wanted = provider_of(device)
    try:
        session = open_session(model, providers, threads, folder)
    except RUNTIME_ERRORS as error:
        if wanted in GPU:
            reason = why_no(wanted) or why_hidden(device) or first_line(error)
            raise _not_started(device, reason) from error
        raise MemberError(f"ONNX Runtime refuses the graph: {first_line(error)}") from error
    active = session.get_providers()[0]
    if wanted in GPU and active != wanted:
        raise _not_started(
            device, why_no(wanted) or why_hidden(device) or f"the session runs on {active}"
        )
    return session


def _start_auto(
    model: bytes, providers: Sequence[Provider], threads: int, folder: Path | None
) -> tuple["InferenceSession", str]:
    """Start a session on the GPU, or else on the CPU; and say why not on the GPU."""
    reason = why_no_cuda()
    if not reason:
        try:
            session = open_session(model, providers, threads, folder)
            if session.get_providers()[0] != CPU:
                return session, ""
            reason = "CUDA does not start; see `ensemble doctor`"
        except RUNTIME_ERRORS as error:  # of the GPU, or of the graph: that the CPU tells
            reason = f"CUDA does not start: {first_line(error)}"
    return _start(model, "cpu", [CPU], 1, folder), reason


def _providers(device: str, precision: Precision, cache: Path | None) -> list[Provider]:
    """Return what ONNX Runtime tries in turn; what runs in the end is checked by `_start`."""
    if runs_on_cpu(device):
        return [CPU]
    quieten()
    index = {"device_id": str(number_of(device))}
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
        raise disk_error("make", folder, error) from error


def _not_started(device: str, reason: str) -> ProviderError:
    name, remedy = "CUDA", "install the libraries with the extra `cuda`, or use --device auto"
    if provider_of(device) == TENSORRT:
        name, remedy = "TensorRT", "see docs/gpu.md for its libraries, or use --device cuda"
    return ProviderError(
        f"device {device} was asked for, but {name} does not start: {reason}. Check the driver "
        f"with nvidia-smi and {remedy}"
    )
