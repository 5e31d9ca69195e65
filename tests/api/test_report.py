"""The page in Python, of files, frames, weights and runs."""

from pathlib import Path

import pandas as pd
import pytest
from pages import Read
from runs import submit

import ensemble
from ensemble.errors import UsageError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_run_gave_is_shown_with_its_images(members: list[Path], images: Path) -> None:
    result = submit(members, images)
    labels = dict.fromkeys(result.ids, result.classes[0])
    path = ensemble.report(result, labels, "a.html", progress=None)
    read = Read(path.read_bytes())
    assert len(read.sources) > 5
    assert all(source.startswith("data:image/jpeg;base64,") for source in read.sources)


def test_a_frame_is_a_submission() -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "label": ["x", "y"]})
    path = ensemble.report(frame, frame, "a.html", progress=None)
    assert 1.0 in Read(path.read_bytes()).numbers


def test_weights_are_shown() -> None:
    weights = ensemble.Weights({"ant": 0.25, "bee": 0.75})
    assert {0.25, 0.75} <= Read(ensemble.report(weights, progress=None).read_bytes()).numbers


def test_a_group_without_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="give labels too"):
        ensemble.report("a.csv", group="patient")
