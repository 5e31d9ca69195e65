"""OpenVINO behind the seam gives what ONNX Runtime gives, or says why it does not."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from composed import composed
from toys import toy_card, toy_model

from ensemble.arrays import Pixels
from ensemble.errors import MemberError, OutOfMemoryError, ProviderError, ScoreError
from ensemble.inference.probe import probe_images
from ensemble.records import Precision
from ensemble.runtime import graph, openvino
from ensemble.runtime.openvino import OpenVinoScorer, check_precision, computes_bf16, open_core
from ensemble.views import policy
from ensemble.views.pixels import output_size

IMAGES = probe_images((7, 8, 8, 3))


def model(tta: str = "hflip", *, at_once: int = 0) -> bytes:
    card = toy_card()
    size = card.preprocess.size
    shaped = [policy.Shaped(view, output_size(view, size)) for view in policy.preset(tta)]
    whole = graph.compose_graph(toy_model(card), card, shaped, "mean", at_once=at_once)
    return whole.SerializeToString()


def scorer(
    tta: str = "hflip", precision: Precision = "fp32", threads: int = 2, batch: int = 3
) -> OpenVinoScorer:
    names = {"label": graph.probs_name(toy_card().heads[0])}
    return OpenVinoScorer(model(tta), names, batch=batch, threads=threads, precision=precision)


class Capable:
    """A processor that has only float32."""

    def get_property(self, device: str, name: str) -> list[str]:
        return ["FP32", "INT8"]


@pytest.mark.parametrize("tta", ["none", "flip", "d4"])
@pytest.mark.parametrize("rows", [1, 2, 5, 7])
def test_openvino_gives_what_onnx_runtime_gives(tta: str, rows: int) -> None:
    card = toy_card()
    expected = composed(card, toy_model(card), tta, "mean").score(IMAGES[:rows])["label"]
    found = scorer(tta).score(IMAGES[:rows])["label"]
    assert (found.dtype, found.shape) == (np.float32, (rows, 3))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 7, 32])
def test_a_row_has_the_same_bits_whatever_stands_beside_it(batch: int) -> None:
    found = scorer(batch=batch)
    whole = found.score(IMAGES)["label"]
    for start, stop in ((0, 1), (0, 3), (2, 7), (6, 7)):
        part = found.score(IMAGES[start:stop])["label"]
        np.testing.assert_array_equal(part, whole[start:stop])


def test_batches_that_are_scored_at_once_get_their_own_rows() -> None:
    busy = scorer(threads=2)
    alone = busy.score(IMAGES)["label"]

    def one(row: int) -> np.ndarray:
        return busy.score(IMAGES[row : row + 1])["label"]

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(one, list(range(7)) * 20))
    for number, row in enumerate(rows):
        np.testing.assert_allclose(row[0], alone[number % 7], atol=1e-6)


def test_what_was_returned_does_not_change_with_the_next_batch() -> None:
    busy = scorer(threads=1)
    first = busy.score(IMAGES[:2])["label"]
    kept = first.copy()
    busy.score(IMAGES[3:5])
    assert (first == kept).all()


def test_there_is_a_lane_a_thread() -> None:
    found = scorer(threads=3)
    assert (found.lanes, found.provider, found.why_cpu) == (3, "OpenVINO", "")


def test_images_that_are_a_slice_of_others_are_read_right() -> None:
    wide: Pixels = np.concatenate([IMAGES, IMAGES], 2)
    found = scorer("none").score(wide[:, :, :8])["label"]
    np.testing.assert_allclose(found, scorer("none").score(IMAGES)["label"], atol=1e-6)


def test_bfloat16_stays_near_float32() -> None:
    if not computes_bf16():
        with pytest.raises(ProviderError, match="no bfloat16"):
            scorer(precision="bf16")
        return
    full, half = (scorer(precision=p).score(IMAGES)["label"] for p in ("fp32", "bf16"))
    assert abs(full - half).max() < 0.05


def test_bfloat16_that_the_processor_lacks_is_refused() -> None:
    with pytest.raises(ProviderError, match="no bfloat16.*--precision fp32"):
        check_precision(Capable(), "bf16")  # type: ignore[arg-type]


def test_another_precision_is_refused() -> None:
    with pytest.raises(ProviderError, match="--precision fp16 is none of OpenVINO's"):
        check_precision(open_core(), "fp16")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ProviderError, match=r"not installed.*ensemble-vote\[openvino\]"):
        open_core()


def test_a_graph_that_is_none_is_refused() -> None:
    with pytest.raises(MemberError, match="OpenVINO refuses the graph"):
        OpenVinoScorer(b"no graph", {"label": "label"}, batch=1, threads=1)


def test_images_of_another_shape_are_an_error_and_the_scorer_lives_on() -> None:
    found = scorer(threads=1)
    with pytest.raises(ScoreError, match="OpenVINO failed"):
        found.score(np.zeros((2, 8, 8, 4), np.uint8))
    assert found.score(IMAGES)["label"].shape == (7, 3)


@pytest.mark.parametrize("error", [MemoryError("x"), RuntimeError("std::bad_alloc")])
def test_memory_that_runs_out_is_told_apart(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    found = scorer(threads=1)
    monkeypatch.setattr(openvino, "_copied", fail)
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        found.score(IMAGES)


def test_threads_that_begin_at_once_do_not_wait_for_one_another_for_ever() -> None:
    """Without `open_core` seven of eight such processes stood still."""
    script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from ensemble.runtime import openvino
sys.setswitchinterval(1e-6)
barrier = Barrier(4)
def first(_):
    barrier.wait()
    openvino.open_core()
    from openvino import Type
    return str(Type.u8.to_dtype())
with ThreadPoolExecutor(4) as pool:
    print(*pool.map(first, range(4)))
"""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "uint8 uint8 uint8 uint8\n"
