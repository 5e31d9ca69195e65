"""A store with the predictions of one run."""

from pathlib import Path

import pytest

from ensemble.api import predict


@pytest.fixture
def a_run(members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of two members over twelve images, in three shards."""
    monkeypatch.chdir(images.parent)
    predict.run(members[:2], images, out="submissions/first", device="cpu", shard_size=5)
