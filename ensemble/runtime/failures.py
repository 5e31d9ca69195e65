"""What ONNX Runtime raises on a batch, told apart: no memory, a GPU that is gone, and the rest."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ensemble.errors import GpuGoneError, OutOfMemoryError, ScoreError
from ensemble.runtime.devices import RUNTIME_ERRORS, first_line

_NO_MEMORY: Final = re.compile(
    "failed to allocate memory|BFCArena|bad_alloc|out.of.memory|ALLOC_FAILED", re.IGNORECASE
)
_GONE: Final = re.compile(
    r"CUDA (failure|error)\D{0,3}(46|100|101|214|700|702|709|719|999)\b|device.{0,20} lost"
    r"|unspecified launch failure|illegal memory access|uncorrectable ECC|no CUDA-capable device",
    re.IGNORECASE,
)
"""What CUDA says when a GPU falls off the bus, or its context is beyond mending."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise what ONNX Runtime raises as an error of ours.

    Raises:
        OutOfMemoryError: memory ran out.
        GpuGoneError: the GPU failed.
        ScoreError: anything else did.
    """
    try:
        yield
    except RUNTIME_ERRORS as error:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            raise OutOfMemoryError(f"out of memory: {first_line(error)}") from error
        if _GONE.search(str(error)):
            raise GpuGoneError(
                f"the GPU failed, or is gone: {first_line(error)}. Look at nvidia-smi; what "
                f"was committed is kept, and the same command goes on"
            ) from error
        raise ScoreError(f"ONNX Runtime failed: {first_line(error)}") from error
