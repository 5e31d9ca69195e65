"""Bound memory: filled, copied, run and read in that order, and never filled while in use."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.members.member import open_member
from ensemble.runtime import graph
from ensemble.runtime.binding import IN_FLIGHT, Bound, Ports
from ensemble.runtime.session import bind
from ensemble.views import policy

FASHION = Path(__file__).parents[2] / "models_zoo" / "fashion"
PORTS = Ports("pixels", {"label": ("probs", 2)})


@dataclass
class Device:
    """A session whose output is the sum of each image and its count of pixels.

    `calls` is what was asked of it, in order; `at_run` is called in the middle of a run.
    """

    calls: list[str] = field(default_factory=list)
    at_run: Callable[[], object] = lambda: None
    bindings: list["Tied"] = field(default_factory=list)

    def io_binding(self) -> "Tied":
        self.bindings.append(Tied(self.calls))
        return self.bindings[-1]

    def run_with_iobinding(self, binding: "Tied") -> None:
        self.calls.append("run")
        self.at_run()
        binding.result = np.stack([binding.copied.sum(1), (binding.copied >= 0).sum(1)], 1)


@dataclass
class Tied:
    """A binding that copies its input when it is bound, and its output when it is synchronised."""

    calls: list[str]
    copied: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    result: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    output: NDArray[np.float32] | None = None

    def bind_ortvalue_input(self, name: str, value: NDArray[np.uint8]) -> None:
        self.calls.append(f"bind {name}")
        self.copied = value.reshape(len(value), -1).astype(np.int64)

    def bind_ortvalue_output(self, name: str, value: NDArray[np.float32]) -> None:
        self.calls.append(f"bind {name}")
        self.output = value

    def synchronize_inputs(self) -> None:
        self.calls.append("inputs")

    def synchronize_outputs(self) -> None:
        self.calls.append("outputs")
        assert self.output is not None
        self.output[:] = self.result


def bound(device: Device, pin: Callable[[object], bool] = lambda _: True) -> Bound:
    """Bind a device; its values are the arrays themselves."""
    return Bound(device, PORTS, lambda array: array, pin)


def batch(level: int, rows: int = 3) -> NDArray[np.uint8]:
    return np.full((rows, 2, 2, 1), level, np.uint8)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=6))
def test_each_batch_gives_its_own_scores(levels: list[int]) -> None:
    scorer = bound(Device())
    found = [scorer.score(batch(level))["label"].tolist() for level in levels]
    assert found == [[[4 * level, 4]] * 3 for level in levels]


def test_outputs_are_bound_once_and_the_input_anew_for_every_batch() -> None:
    device = Device()
    scorer = bound(device)
    for _ in range(IN_FLIGHT):
        scorer.score(batch(1))
    device.calls.clear()
    scorer.score(batch(2))
    assert device.calls == ["bind pixels", "inputs", "run", "outputs"]


def test_scores_are_copies_that_a_later_batch_does_not_change() -> None:
    scorer = bound(Device())
    first = [scorer.score(batch(1))["label"] for _ in range(IN_FLIGHT)]
    for _ in range(IN_FLIGHT):
        scorer.score(batch(9))
    assert all((scores[:, 0] == 4).all() for scores in first)


def test_two_batches_in_flight_never_share_memory() -> None:
    meet = threading.Barrier(2, timeout=5)
    device = Device(at_run=meet.wait)
    scorer = bound(device)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda level: scorer.score(batch(level))["label"][0, 0], (1, 2)))
    assert found == [4, 8]
    assert len(device.bindings) == 2


def test_a_third_batch_waits_until_memory_is_free() -> None:
    go, inside = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        inside.release()
        assert go.wait(5)

    device = Device(at_run=wait)
    scorer = bound(device)
    with ThreadPoolExecutor(3) as pool:
        flights = [pool.submit(scorer.score, batch(level)) for level in (1, 2, 3)]
        assert all(inside.acquire(timeout=5) for _ in range(IN_FLIGHT))
        assert device.calls.count("run") == IN_FLIGHT
        go.set()
        assert [flight.result()["label"][0, 0] for flight in flights] == [4, 8, 12]
    assert len(device.bindings) == IN_FLIGHT


def test_memory_of_a_batch_that_failed_is_not_used_again() -> None:
    device = Device(at_run=lambda: 1 / 0)
    scorer = bound(device)
    for _ in range(2 * IN_FLIGHT):
        with pytest.raises(ZeroDivisionError):
            scorer.score(batch(1))
    device.at_run = lambda: None
    assert scorer.score(batch(5))["label"][0, 0] == 20
    assert len(device.bindings) == 2 * IN_FLIGHT + 1


def test_memory_is_taken_anew_for_another_shape() -> None:
    scorer = bound(Device())
    for rows in (3, 3, 2, 2, 3):
        assert scorer.score(batch(1, rows))["label"].shape == (rows, 2)


@pytest.mark.parametrize("locked", [True, False])
def test_it_says_whether_pages_are_locked(locked: bool) -> None:
    scorer = bound(Device(), lambda _: locked)
    assert scorer.pinned is None
    scorer.score(batch(1))
    assert scorer.pinned is locked


def test_a_real_session_gives_the_same_through_bound_memory() -> None:
    member = open_member(FASHION / "resnet-f0.onnx")
    shaped = start.shape_views(member, policy.preset("hflip"))
    model = graph.compose_graph(member.model, member.card, shaped, "mean").SerializeToString()
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    pre = member.card.preprocess
    images = probe_images((4, pre.size.height, pre.size.width, len(pre.mean)))
    output = graph.probs_name(member.card.heads[0])
    scorer = bind(session, {"label": output}, "cuda")
    for part in (images, images[::-1].copy(), images[1:3]):
        (plain,) = session.run([output], {graph.INPUT: part})
        assert (scorer.score(part)["label"] == plain).all()


def test_each_head_has_an_output_of_its_own() -> None:
    ports = Ports("pixels", {"label": ("probs", 2), "age": ("years", 2)})
    device = Device()
    found = Bound(device, ports, lambda array: array, lambda _: True).score(batch(1))
    assert found.keys() == {"label", "age"}
    assert device.calls.count("bind probs") == device.calls.count("bind years") == 1


def test_pages_are_locked_once_for_each_memory_that_is_taken() -> None:
    locked: list[tuple[int, ...]] = []
    scorer = bound(Device(), lambda array: locked.append(array.shape) is None)
    for _ in range(2 * IN_FLIGHT):
        scorer.score(batch(1))
    assert locked == [(3, 2, 2, 1)] * IN_FLIGHT


def test_the_pixels_of_the_caller_are_not_kept() -> None:
    scorer, pixels = bound(Device()), batch(7)
    first = scorer.score(pixels)["label"][0, 0]
    pixels[:] = 0
    assert scorer.score(batch(7))["label"][0, 0] == first == 28
