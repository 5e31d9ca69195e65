"""The settings that tell a run from another are named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ensemble.recipe.settings import Settings, settings_of
from ensemble.records import DecodePolicy
from ensemble.submission.differences import differences
from ensemble.voting.weights import Weights

SETTINGS = Settings(("folds",), ("test",), tta="hflip")


def told(other: Settings) -> str:
    """What is said of a folder that SETTINGS were recorded in."""
    return differences(json.loads(json.dumps(settings_of(SETTINGS))), other)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"tta": "flip"}, "was made with --tta hflip; this run has --tta flip"),
        ({"head": "age"}, "was made with no --head; this run has --head age"),
        ({"images": ("a", "b")}, "was made with --images test; this run has --images a b"),
        (
            {"decode": DecodePolicy(allow_truncated=True)},
            "was made with no --allow-truncated; this run has --allow-truncated",
        ),
        (
            {"weights": Weights({"ant": 0.25, "bee": 0.75})},
            "was made with no --weights; this run has --weights ant=0.25,bee=0.75",
        ),
        (
            {"merge": "max", "early_exit": "0.5%"},
            "was made with --merge mean, --early-exit off; this run has --merge max, "
            "--early-exit 0.5%",
        ),
    ],
)
def test_each_setting_is_told_as_it_was_and_as_it_is(other: dict[str, Any], expected: str) -> None:
    assert told(replace(SETTINGS, **other)) == expected


def test_what_is_long_is_named_alone() -> None:
    many = tuple(f"folds/member-{number}.onnx" for number in range(9))
    assert told(replace(SETTINGS, members=many)) == "was made with other --members"
    both = replace(SETTINGS, members=many, tta="flip")
    assert told(both) == "was made with other --members, --tta hflip; this run has --tta flip"


def test_of_many_the_first_are_told_and_the_rest_counted() -> None:
    other = replace(SETTINGS, tta="d4", merge="max", voting="hard", head="age", precision="fp16")
    assert "--voting soft and 2 more; this run" in told(other)


def test_what_makes_no_run_another_is_not_told() -> None:
    other = replace(SETTINGS, tta="flip", threads=3, store=Path("elsewhere"), fill="cat")
    assert told(other) == "was made with --tta hflip; this run has --tta flip"


def test_a_setting_that_the_run_did_not_know_had_its_default() -> None:
    recorded = json.loads(json.dumps(settings_of(SETTINGS)))
    del recorded["merge"]
    assert "--merge mean; this run has --merge gmean" in differences(
        recorded, replace(SETTINGS, merge="gmean")
    )


def test_where_no_setting_differs_the_predictions_do() -> None:
    assert "a vote on other predictions" in told(SETTINGS)
