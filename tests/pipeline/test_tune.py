"""Weights are tuned, written and drawn."""

import sys
from pathlib import Path

import pytest
from blends import tuned_on
from fake_workers import Told

from ensemble.errors import UsageError
from ensemble.pipeline.tune import picture_of, tune_files
from ensemble.tuning.tune import tune_weights
from ensemble.voting.weights import Weights

pytestmark = pytest.mark.usefixtures("train")


def test_weights_are_written_and_drawn() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    found = tune_files(order, out=Path("w.json"))
    assert Weights.load("w.json").families == found.families == tune_weights(order).families
    assert picture_of(Path("w.json")).stat().st_size > 5000


def test_without_a_file_nothing_is_written() -> None:
    order, before = tuned_on({"ant": 2.0, "bee": 1.0}), set(Path().iterdir())
    tune_files(order)
    assert set(Path().iterdir()) - before == set()


def test_a_picture_that_cannot_be_drawn_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    order, told = tuned_on({"ant": 2.0, "bee": 1.0}), Told()
    Path("w.png").write_text("of other weights")
    monkeypatch.setitem(sys.modules, "ensemble.reports.figures", None)
    tune_files(order, told, out=Path("w.json"))
    assert (Path("w.json").exists(), Path("w.png").exists()) == (True, False)
    assert "no picture: matplotlib comes with the extra `tune`" in told.said


def test_weights_called_as_their_picture_are_refused() -> None:
    with pytest.raises(UsageError, match="its picture would replace it"):
        tune_files(tuned_on({"ant": 2.0}), out=Path("w.png"))
