"""A packed file is proven by itself: what differs from the vote is refused, and not written."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from packs import packed, toys_of

from ensemble.errors import MemberError
from ensemble.pipeline import pack_proof
from ensemble.pipeline.pack_proof import BOUND, Expected, compare_packed

PROBS = np.array([[0.2, 0.8], [0.6, 0.4]])
LABELS = np.array([1, 0])


def given(probs: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
    return {"probabilities": probs.astype(np.float32), "label": labels}


def test_what_rounding_changes_is_told() -> None:
    found = compare_packed(given(PROBS, LABELS), Expected(PROBS, LABELS))
    assert 0 < found < 1e-7


def test_a_probability_that_differs_is_refused() -> None:
    with pytest.raises(MemberError, match=r"differs from the vote of its members by 2e-05"):
        compare_packed(given(PROBS + 2e-5, LABELS), Expected(PROBS, LABELS))


def test_nan_is_refused() -> None:
    with pytest.raises(MemberError, match="by nan"):
        compare_packed(given(PROBS * np.nan, LABELS), Expected(PROBS, LABELS))


def test_a_label_that_differs_is_refused() -> None:
    with pytest.raises(MemberError, match="gives 1 other labels"):
        compare_packed(given(PROBS, LABELS * 0), Expected(PROBS, LABELS))


def test_labels_that_are_given_are_compared_each() -> None:
    found = {"probabilities": PROBS.astype(np.float32), "labels": PROBS > 0.7}
    with pytest.raises(MemberError, match="gives 1 other labels"):
        compare_packed(found, Expected(PROBS, PROBS > 0.5))


def test_values_may_differ_by_so_much_of_themselves() -> None:
    found = {"values": (1000 * PROBS).astype(np.float32)}
    assert compare_packed(found, Expected(1000 * PROBS, None)) < BOUND


def test_a_graph_with_another_weight_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, run_file = toys_of(tmp_path), pack_proof.run_file

    def changed(path: Path, batches: object) -> object:
        """Run the file that was staged, but for one weight of one member."""
        model = onnx.load(path)
        weight = next(t for t in model.graph.initializer if t.name == "ant-f0/matrix")
        array = numpy_helper.to_array(weight).copy()
        array[0, 0] += 0.01
        weight.raw_data = array.tobytes()
        onnx.save(model, path)
        return run_file(path, batches)  # type: ignore[arg-type]

    monkeypatch.setattr(pack_proof, "run_file", changed)
    with pytest.raises(MemberError, match="nothing was written"):
        packed(tmp_path, members)
    assert not (tmp_path / "model.onnx").exists()


def test_a_member_that_gives_nan_for_noise_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = toys_of(tmp_path)
    monkeypatch.setattr(pack_proof, "probe_images", lambda shape: np.zeros(shape, np.uint8))
    model = onnx.load(members[2])
    weight = model.graph.initializer[0]
    weight.raw_data = np.full(tuple(weight.dims), np.nan, np.float32).tobytes()
    onnx.save(model, members[2])
    with pytest.raises(MemberError, match=r"bee-f0.onnx: it gives NaN or infinity for noise"):
        packed(tmp_path, members)
