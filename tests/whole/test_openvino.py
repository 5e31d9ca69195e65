"""A run by OpenVINO: the same labels, a key of its own, quarantine and resume as ever."""

from pathlib import Path

import numpy as np
import pytest
from toys import ensemble

from ensemble.api import predict
from ensemble.runtime.openvino import computes_bf16


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_labels_are_the_same_and_predictions_are_kept_apart(
    members: list[Path], images: Path
) -> None:
    first = predict.run(members, images, out="one", device="cpu", tta="flip")
    other = predict.run(members, images, out="two", device="openvino", tta="flip")
    again = predict.run(members, images, out="three", device="openvino", tta="flip")
    assert (first.labels, first.ids) == (other.labels, other.ids)
    np.testing.assert_allclose(first.probs, other.probs, atol=1e-6)
    counts = [run.record["evaluations"] for run in (first, other, again)]
    assert counts == [counts[0], counts[0], 0]
    assert other.record["provider"] == "OpenVINO"


def test_a_broken_image_is_quarantined(members: list[Path], images: Path) -> None:
    (images / "x.png").write_bytes(b"no image")
    args = ("run", "--members", *members, "--images", images, "--fill", "cat")
    codes = [ensemble(*args, "--device", d, "--out", d) for d in ("cpu", "openvino")]
    assert codes == [3, 3]
    assert Path("cpu/submission.csv").read_bytes() == Path("openvino/submission.csv").read_bytes()
    assert Path("cpu/quarantine.csv").read_bytes() == Path("openvino/quarantine.csv").read_bytes()


def test_auto_and_what_it_decides_share_their_predictions(
    members: list[Path], images: Path
) -> None:
    decided = "bf16" if computes_bf16() else "fp32"
    predict.run(members, images, out="one", device="openvino", precision="auto")
    again = predict.run(members, images, out="two", device="openvino", precision=decided)  # type: ignore[arg-type]
    assert again.record["evaluations"] == 0


def test_an_early_exit_keeps_every_label(members: list[Path], images: Path) -> None:
    full = predict.run(members, images, out="one", device="openvino", tta="flip")
    exited = predict.run(members, images, out="two", device="openvino", tta="flip",
                         early_exit="lossless", store="other")  # fmt: skip
    assert exited.labels == full.labels
