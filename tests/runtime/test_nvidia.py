"""The driver's library, as a fake: what is asked of it, and what becomes of a refusal."""

import ctypes
import gc

import numpy as np
import pytest

from ensemble.runtime import nvidia


class Library:
    """libcuda: every call succeeds, but for the one that is named."""

    def __init__(self, refused: str = "") -> None:
        self.refused, self.locked = refused, set[int]()
        self.retained, self.entered = 0, 0

    def answer(self, name: str) -> int:
        return 201 if name == self.refused else 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.answer("cuInit")

    def cuDriverGetVersion(self, found: object) -> int:  # noqa: N802
        found._obj.value = 13020  # type: ignore[attr-defined]
        return self.answer("cuDriverGetVersion")

    def cuDeviceGetCount(self, found: object) -> int:  # noqa: N802
        found._obj.value = 2  # type: ignore[attr-defined]
        return self.answer("cuDeviceGetCount")

    def cuDeviceGetName(self, name: object, size: int, handle: ctypes.c_int) -> int:  # noqa: N802
        name.value = b"Tesla T4"  # type: ignore[attr-defined]
        return self.answer("cuDeviceGetName")

    def cuDeviceTotalMem_v2(self, memory: object, handle: ctypes.c_int) -> int:  # noqa: N802
        memory._obj.value = 15_000_000_000  # type: ignore[attr-defined]
        return self.answer("cuDeviceTotalMem_v2")

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self.answer("nvmlInit_v2")

    def nvmlSystemGetDriverVersion(self, text: object, size: int) -> int:  # noqa: N802
        text.value = b"580.95.05"  # type: ignore[attr-defined]
        return self.answer("nvmlSystemGetDriverVersion")

    def nvmlShutdown(self) -> int:  # noqa: N802
        return 0

    def cuDeviceGet(self, handle: object, index: int) -> int:  # noqa: N802
        return self.answer("cuDeviceGet")

    def cuDevicePrimaryCtxRetain(self, context: object, handle: object) -> int:  # noqa: N802
        code = self.answer("cuDevicePrimaryCtxRetain")
        self.retained += not code
        return code

    def cuDevicePrimaryCtxRelease_v2(self, handle: object) -> int:  # noqa: N802
        self.retained -= 1
        return 0

    def cuCtxPushCurrent_v2(self, context: object) -> int:  # noqa: N802
        code = self.answer("cuCtxPushCurrent_v2")
        self.entered += not code
        return code

    def cuCtxPopCurrent_v2(self, context: object) -> int:  # noqa: N802
        self.entered -= 1
        return 0

    def cuMemHostRegister_v2(  # noqa: N802
        self, address: ctypes.c_void_p, size: object, flags: int
    ) -> int:
        assert self.entered
        code = self.answer("cuMemHostRegister_v2")
        if not code:
            self.locked.add(address.value or 0)
        return code

    def cuMemHostUnregister(self, address: ctypes.c_void_p) -> int:  # noqa: N802
        assert self.entered
        self.locked.remove(address.value or 0)
        return 0


def test_pages_are_locked_for_as_long_as_their_array_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(nvidia, "load", lambda _: library)
    array = np.zeros(8, np.uint8)
    assert nvidia.pin(array, 0)
    assert library.locked == {array.ctypes.data}
    del array
    gc.collect()
    assert library.locked == set()


CALLS = ("cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2",
         "cuMemHostRegister_v2")  # fmt: skip


@pytest.mark.parametrize("refused", ["", *CALLS])
def test_the_context_is_left_as_it_was_whatever_the_driver_refuses(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(refused)
    monkeypatch.setattr(nvidia, "load", lambda _: library)
    array = np.zeros(8, np.uint8)
    assert nvidia.pin(array, 0) == (not refused)
    assert (library.retained, library.entered) == (0, 0)
    del array
    gc.collect()
    assert (library.retained, library.entered) == (0, 0)


@pytest.mark.parametrize("refused", CALLS)
def test_what_the_driver_refuses_is_not_locked(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(refused)
    monkeypatch.setattr(nvidia, "load", lambda _: library)
    assert not nvidia.pin(np.zeros(8, np.uint8), 0)
    assert library.locked == set()


def test_without_a_driver_nothing_is_locked_and_there_is_no_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: None)
    assert not nvidia.pin(np.zeros(8, np.uint8), 0)
    assert nvidia.version() == 0


def test_the_driver_says_which_cuda_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: Library())
    assert nvidia.version() == 13020


def test_gpus_are_told_by_number_with_model_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: Library())
    assert nvidia.gpus() == tuple(nvidia.Gpu(n, "Tesla T4", 15_000_000_000) for n in (0, 1))


@pytest.mark.parametrize("refused", ["cuDeviceGet", "cuDeviceGetName", "cuDeviceTotalMem_v2"])
def test_a_gpu_of_which_the_driver_tells_nothing_is_there(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: Library(refused))
    assert nvidia.gpus() == (nvidia.Gpu(0, "unknown", 0), nvidia.Gpu(1, "unknown", 0))


@pytest.mark.parametrize("refused", ["cuInit", "cuDeviceGetCount"])
def test_where_the_driver_shows_no_gpu_there_is_none(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: Library(refused))
    assert nvidia.gpus() == ()


@pytest.mark.parametrize(
    ("refused", "told"),
    [("", "580.95.05"), ("nvmlInit_v2", ""), ("nvmlSystemGetDriverVersion", "")],
)
def test_the_driver_says_its_own_version_where_it_does(
    refused: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: Library(refused))
    assert nvidia.driver() == told


def test_without_a_driver_there_is_neither_gpu_nor_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "load", lambda _: None)
    assert (nvidia.gpus(), nvidia.driver()) == ((), "")
