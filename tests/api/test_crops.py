"""Python makes crops as the command does, and a run takes them as a path or a frame."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from detectors import picture, save_detector
from toys import save_member, toy_card, toy_model

import ensemble
from ensemble.boxes import Crop
from ensemble.errors import UsageError
from ensemble.records import (
    Size,
)

SIZE = Size(64, 96)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_detector(tmp_path / "detector")
    (tmp_path / "images").mkdir()
    picture(SIZE, red=(12, 20, 42, 50, 255)).save(tmp_path / "images" / "a.png")
    picture(SIZE).save(tmp_path / "images" / "b.png")
    card = toy_card()
    card = replace(card, preprocess=replace(card.preprocess, crop=Crop(0.5, square=True)))
    save_member(tmp_path / "folds", card, toy_model(card))
    return tmp_path


def crops(folder: Path, out: str = "crops.csv") -> Path:
    found = ensemble.crops(
        folder / "detector", folder / "images", folder / out, device="cpu", store=folder / "store"
    )
    assert found.rules == {"sure": 1, "centred": 0, "fallback": 1}
    return found.path


def test_a_frame_and_a_path_of_crops_are_the_same(folder: Path) -> None:
    path = crops(folder)
    given = [path, str(path), pd.read_csv(path), pd.read_csv(path).set_index("id")]
    runs = [
        ensemble.run(
            folder / "folds", folder / "images", crops=each, device="cpu", store=folder / "store",
            out=folder / f"out{number}",
        )
        for number, each in enumerate(given)
    ]  # fmt: skip
    assert [run.record["evaluations"] for run in runs] == [2, 0, 0, 0]
    assert all(np.array_equal(run.probs, runs[0].probs) for run in runs)


def test_crops_of_another_type_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="crops: expected a path or a DataFrame"):
        ensemble.run(folder / "folds", folder / "images", crops=[1, 2])  # type: ignore[arg-type]


def test_a_vote_finds_the_predictions_of_crops(folder: Path) -> None:
    path = crops(folder)
    how = {"device": "cpu", "store": folder / "store"}
    first = ensemble.run(folder / "folds", folder / "images", crops=path, out=folder / "out", **how)
    again = ensemble.vote(
        members=folder / "folds", images=folder / "images", crops=path, out=folder / "vote", **how
    )
    assert np.array_equal(first.probs, again.probs)
    beside = ensemble.vote(folder / "out", out=folder / "beside", store=folder / "store")
    assert np.array_equal(first.probs, beside.probs)


def test_out_of_fold_predictions_see_crops_too(folder: Path) -> None:
    path = crops(folder)
    folds = pd.DataFrame({"id": ["a", "b"], "fold": [0, 0]})
    seen = ensemble.predict_oof(
        folder / "folds", folder / "images", folds, crops=path, device="cpu",
        store=folder / "store",
    )  # fmt: skip
    run = ensemble.run(
        folder / "folds", folder / "images", crops=path, device="cpu", store=folder / "store",
        out=folder / "out", output="probs",
    )  # fmt: skip
    assert np.allclose(seen.families["toy"], run.probs, atol=1e-7)
