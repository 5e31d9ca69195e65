"""The NVIDIA driver, by its own library: its version, GPUs that it shows, pages that it locks."""

import ctypes
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LIBRARY: Final = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
HIDING: Final = "CUDA_VISIBLE_DEVICES"
"""The variable by which GPUs are hidden from a process; those that are left count from 0."""

_MANAGEMENT: Final = "nvml.dll" if os.name == "nt" else "libnvidia-ml.so.1"
_PORTABLE: Final = 1
_LONGEST: Final = 96


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that this process may use: its number here, its model, and its memory in bytes."""

    number: int
    name: str
    memory: int


def load(name: str) -> ctypes.CDLL | None:
    """Return a shared library, or None where it cannot be loaded."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def version() -> int:
    """Return the CUDA version that the driver takes, 13020 for 13.2; 0 without a driver."""
    library, found = load(LIBRARY), ctypes.c_int(0)
    if library is None or library.cuDriverGetVersion(ctypes.byref(found)):
        return 0
    return found.value


def driver() -> str:
    """Return the version of the driver itself, as "580.95.05"; "" where it does not say."""
    library, text = load(_MANAGEMENT), ctypes.create_string_buffer(_LONGEST)
    if library is None or library.nvmlInit_v2():
        return ""
    try:
        refused = library.nvmlSystemGetDriverVersion(text, _LONGEST)
    finally:
        library.nvmlShutdown()
    return "" if refused else text.value.decode("ascii", "replace")


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that this process may use, by number; none without a driver."""
    library, count = load(LIBRARY), ctypes.c_int(0)
    if library is None or library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(_told(library, number) for number in range(count.value))


def _told(library: ctypes.CDLL, number: int) -> Gpu:
    """Ask the driver for a GPU's model and memory: "unknown" and 0 where it does not say."""
    handle, memory = ctypes.c_int(0), ctypes.c_size_t(0)
    name = ctypes.create_string_buffer(_LONGEST)
    if (
        library.cuDeviceGet(ctypes.byref(handle), number)
        or library.cuDeviceGetName(name, _LONGEST, handle)
        or library.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    ):
        return Gpu(number, "unknown", 0)
    return Gpu(number, name.value.decode("ascii", "replace"), memory.value)


def pin(array: NDArray[np.uint8], device: int) -> bool:
    """Lock an array's pages, for as long as it lives, so that a GPU reads them itself.

    Args:
        array: The array, in one piece.
        device: The number of the GPU.

    Returns:
        Whether the driver did; without it copies are slower, and right.
    """
    library = load(LIBRARY)
    if library is None:
        return False
    address = array.ctypes.data
    size = ctypes.c_size_t(array.nbytes)
    with _context(library, device) as entered:
        if not entered or library.cuMemHostRegister_v2(ctypes.c_void_p(address), size, _PORTABLE):
            return False
    weakref.finalize(array, _unpin, library, device, address).atexit = False
    return True


def _unpin(library: ctypes.CDLL, device: int, address: int) -> None:
    with _context(library, device) as entered:
        if entered:
            library.cuMemHostUnregister(ctypes.c_void_p(address))


@contextmanager
def _context(library: ctypes.CDLL, device: int) -> Iterator[bool]:
    """Enter the GPU's context, which ONNX Runtime uses too, and tell whether the driver let us.

    Afterwards this thread has the context that it had before. A thread that ends an array may be
    any thread.
    """
    handle, context = ctypes.c_int(0), ctypes.c_void_p()
    if (
        library.cuInit(0)
        or library.cuDeviceGet(ctypes.byref(handle), device)
        or library.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle)
    ):
        yield False
        return
    entered = not library.cuCtxPushCurrent_v2(context)
    try:
        yield entered
    finally:
        if entered:
            library.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        library.cuDevicePrimaryCtxRelease_v2(handle)
