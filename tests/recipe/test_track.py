"""Trackers as they are named."""

import pytest

from ensemble.errors import UsageError
from ensemble.recipe.track import Track, tracks_of


def test_trackers_are_named_one_by_one_or_with_commas() -> None:
    expected = (Track("mlflow"), Track("wandb"), Track("tensorboard"))
    assert tracks_of(["mlflow", "wandb", "tensorboard"]) == expected
    assert tracks_of(["mlflow, wandb", "tensorboard"]) == expected


def test_where_a_tracker_records_stands_after_its_name() -> None:
    uri = "http://10.0.0.1:5000/?a=b"
    assert tracks_of([f"mlflow={uri},tensorboard=runs"]) == (
        Track("mlflow", uri), Track("tensorboard", "runs")
    )  # fmt: skip


@pytest.mark.parametrize("texts", [[], ["off"]])
def test_nobody_tracks_unless_asked(texts: list[str]) -> None:
    assert tracks_of(texts) == ()


def test_an_unknown_tracker_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'mlfow': expected mlflow, wandb, .*did you mean mlflow"):
        tracks_of(["mlfow"])


@pytest.mark.parametrize("text", ["", "mlflow,", "off,mlflow", "=runs"])
def test_what_names_no_tracker_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected mlflow, wandb, tensorboard, each with"):
        tracks_of([text])


def test_a_tracker_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="mlflow stands there twice"):
        tracks_of(["mlflow=a", "mlflow=b"])
