"""OpenVINO's CPU plugin behind the seam: float32, or bfloat16 where the processor computes in it.

The package itself, not ONNX Runtime's plugin of the same name, which takes Intel's processors only.
It is asked for by name; nothing here is imported unless it is.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import numpy as np

from ensemble.arrays import Pixels, Probs
from ensemble.errors import MemberError, OutOfMemoryError, ProviderError, ScoreError
from ensemble.records import Precision
from ensemble.runtime.devices import OPENVINO, available_threads, first_line

if TYPE_CHECKING:
    from openvino import Core, InferRequest

_HINTS: Final[Mapping[Precision, str]] = {"fp32": "f32", "bf16": "bf16"}
_ROWS: Final = -2
"""The axis of the images in an output: (N, C), or (V, N, C) of what each view gives."""

_NO_MEMORY: Final = re.compile("bad_alloc|out.of.memory|failed to allocate", re.IGNORECASE)
_INSTALL: Final = "pip install 'ensemble-vote[openvino]'"


class OpenVinoScorer:
    """A graph compiled by OpenVINO for the CPU: a stream a thread, and a request for each.

    It is compiled for one size of a batch, which is a fifth to a third quicker than for any, and by
    which a row's bits do not depend on the rows beside it: other batches are cut up and padded.
    A batch is scored by one thread, and `lanes` batches may be at once, as with ONNX Runtime on the
    CPU: requests that block, each on a thread of the caller's, keep every stream as busy as
    asynchronous ones.
    """

    provider: Final = OPENVINO
    why_cpu: Final = ""

    def __init__(
        self,
        model: bytes,
        outputs: Mapping[str, str],
        *,
        batch: int,
        threads: int = 0,
        precision: Precision = "fp32",
    ) -> None:
        """Compile a graph.

        Args:
            model: The serialised graph, its external data inside, with one uint8 input.
            outputs: The graph's output for each name that `score` returns.
            batch: Images a forward.
            threads: Threads in all; 0 takes the processors this process may use.
            precision: "fp32" or "bf16".

        Raises:
            MemberError: OpenVINO refuses the graph.
            ProviderError: OpenVINO is not installed, or the processor has no bfloat16.
        """
        self._outputs, self._batch = dict(outputs), batch
        self.lanes: int = threads or available_threads()
        core = open_core()
        check_precision(core, precision)
        config = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": self.lanes,
            "NUM_STREAMS": self.lanes,
            "ENABLE_CPU_PINNING": False,  # the threads stay where the process may run
        }
        try:
            whole = core.read_model(model)
            shape = whole.input(0).get_partial_shape()
            shape[0] = batch
            whole.reshape(shape)
            compiled = core.compile_model(whole, "CPU", config)
            requests = [compiled.create_infer_request() for _ in range(self.lanes)]
        except (RuntimeError, MemoryError) as error:
            raise MemberError(f"OpenVINO refuses the graph: {first_line(error)}") from error
        self._free: SimpleQueue[InferRequest] = SimpleQueue()
        for request in requests:
            self._free.put(request)

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return each output, float32 (N, C), of uint8 images (N, H, W, C).

        Raises:
            ScoreError: OpenVINO failed on the batch.
        """
        return self.outputs(images, self._outputs)

    def outputs(self, images: Pixels, names: Mapping[str, str]) -> Mapping[str, Probs]:
        """Return other outputs of the graph, (…, N, C), by the names that the caller gives them.

        Raises:
            ScoreError: OpenVINO failed on the batch.
        """
        starts = range(0, len(images), self._batch)
        parts = [self._forward(images[at : at + self._batch], names) for at in starts]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts], _ROWS) for name in names}

    def _forward(self, images: Pixels, names: Mapping[str, str]) -> Mapping[str, Probs]:
        """Score at most a batch of images, padded with black."""
        count = len(images)
        if count < self._batch:
            black = np.zeros((self._batch - count, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, black])
        request = self._free.get()
        try:
            with _translated():
                request.infer({0: np.ascontiguousarray(images)}, share_inputs=True)
                return {name: _copied(request, output, count) for name, output in names.items()}
        finally:
            self._free.put(request)


def open_core() -> "Core":
    """Return OpenVINO's entrance.

    Raises:
        ProviderError: OpenVINO is not installed, or cannot be imported.
    """
    try:
        from openvino import Core  # noqa: PLC0415  # an extra
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        why = "is not installed" if missing else f"cannot be imported: {first_line(error)}"
        raise ProviderError(
            f"device openvino was asked for, but OpenVINO {why}. {_INSTALL}, or use --device cpu"
        ) from error
    return Core()


def computes_bf16(core: "Core | None" = None) -> bool:
    """Tell whether this processor computes in bfloat16 by itself.

    Raises:
        ProviderError: OpenVINO is not installed.
    """
    capabilities = (core or open_core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities


def check_precision(core: "Core", precision: Precision) -> None:
    """Check that the processor has a precision: OpenVINO computes in float32 without a word.

    Raises:
        ProviderError: it has not.
    """
    if precision not in _HINTS:
        raise ProviderError(
            f"--precision {precision} is none of OpenVINO's on a CPU; it has {', '.join(_HINTS)}"
        )
    if precision == "bf16" and not computes_bf16(core):
        raise ProviderError(
            "--precision bf16 was asked for, and this processor has no bfloat16 (AVX512_BF16 or "
            "AMX). Use --precision fp32, or auto"
        )


def _copied(request: "InferRequest", output: str, rows: int) -> Probs:
    """Return the first rows of an output of a request, which uses its own memory again."""
    values: Probs = np.array(request.get_tensor(output).data[..., :rows, :], np.float32)
    return values


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            raise OutOfMemoryError(f"out of memory: {first_line(error)}") from error
        raise ScoreError(f"OpenVINO failed: {first_line(error)}") from error
