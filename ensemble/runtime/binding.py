"""A session's inputs and outputs, bound to memory that stays: two batches in flight on a GPU.

A bound input is copied to the device when it is bound, so it is bound anew for every batch, and
its memory is left alone until the outputs are back. Pages that are locked are read by the device
itself. Nothing here knows ONNX Runtime: what it needs of it comes as arguments.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pixels, Probs

IN_FLIGHT: Final = 2
"""Batches at once: while the device computes one, the next is copied to it."""


class Binding(Protocol):
    """What is used of an `onnxruntime.IOBinding`."""

    def bind_ortvalue_input(self, name: str, ortvalue: object) -> None:
        """Bind an input, and start its copy to the device."""

    def bind_ortvalue_output(self, name: str, ortvalue: object) -> None:
        """Bind an output to memory that it is copied to."""

    def synchronize_inputs(self) -> None:
        """Wait until the inputs are on the device."""

    def synchronize_outputs(self) -> None:
        """Wait until the outputs are in their memory."""


class Bindable(Protocol):
    """What is used of an `onnxruntime.InferenceSession`."""

    def io_binding(self) -> Binding:
        """Return a new binding."""

    def run_with_iobinding(self, iobinding: Binding) -> None:
        """Run on what is bound."""


Wrap: TypeAlias = Callable[[NDArray[np.uint8] | NDArray[np.float32]], object]
"""Makes a value of ONNX Runtime over an array's own memory."""

Pin: TypeAlias = Callable[[NDArray[np.uint8]], bool]
"""Locks an array's pages for as long as it lives; says whether it could."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """The memory of one batch: its pixels, its outputs by head, and the values over them."""

    pixels: Pixels
    value: object
    outputs: Mapping[str, Probs]
    values: tuple[object, ...]
    binding: Binding
    pinned: bool


@dataclass(frozen=True, slots=True)
class Ports:
    """How a session is fed: its input, and each head's output with its columns."""

    input: str
    outputs: Mapping[str, tuple[str, int]]


class Bound:
    """Scores batches on a session through bound memory; `IN_FLIGHT` threads may at once."""

    def __init__(self, session: Bindable, ports: Ports, wrap: Wrap, pin: Pin) -> None:
        """Keep the session; memory is taken when the shape of the batches is known."""
        self._session, self._ports, self._wrap, self._pin = session, ports, wrap, pin
        self._free: SimpleQueue[_Slot | None] = SimpleQueue()
        for _ in range(IN_FLIGHT):
            self._free.put(None)
        self.pinned: bool | None = None
        """Whether the last memory that was taken has locked pages; None before the first batch."""

    def score(self, images: Pixels) -> dict[str, Probs]:
        """Return each head's output, float32 (N, C), of uint8 images (N, H, W, C).

        What ONNX Runtime raises passes through; the memory of a batch that failed is given up.
        """
        slot, kept = self._free.get(), None
        try:
            if slot is None or slot.pixels.shape != images.shape:
                slot = self._taken(images.shape)
            scores = self._run(slot, images)
            kept = slot
        finally:
            self._free.put(kept)
        return scores

    def _run(self, slot: _Slot, images: Pixels) -> dict[str, Probs]:
        np.copyto(slot.pixels, images)
        slot.binding.bind_ortvalue_input(self._ports.input, slot.value)
        slot.binding.synchronize_inputs()
        self._session.run_with_iobinding(slot.binding)
        slot.binding.synchronize_outputs()
        return {name: output.copy() for name, output in slot.outputs.items()}

    def _taken(self, shape: tuple[int, ...]) -> _Slot:
        pixels = np.empty(shape, np.uint8)
        self.pinned = self._pin(pixels)
        outputs: dict[str, Probs] = {}
        values, binding = [], self._session.io_binding()
        for name, (output, columns) in self._ports.outputs.items():
            outputs[name] = np.empty((shape[0], columns), np.float32)
            values.append(self._wrap(outputs[name]))
            binding.bind_ortvalue_output(output, values[-1])
        return _Slot(pixels, self._wrap(pixels), outputs, tuple(values), binding, self.pinned)
