"""Fixtures: a folder with labels, folds and groups."""

from pathlib import Path

import pytest
from blends import write_train


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty images, and train.csv, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_train()
