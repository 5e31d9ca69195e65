"""A progress that says nothing takes all that a run tells, and says nothing."""

import inspect

import pytest

from ensemble.progress import Listener, Progress, Quiet

TOLD = {"start": (12, 2, "fits"), "advance": (3,), "warn": ("the images are others",)}


def methods(of: type) -> dict[str, inspect.Signature]:
    """The public methods of a class, by name."""
    found = {name: value for name, value in vars(of).items() if not name.startswith("_")}
    return {name: inspect.signature(value) for name, value in found.items() if callable(value)}


def test_the_quiet_one_is_told_all_that_a_progress_is_told() -> None:
    assert methods(Quiet) == methods(Progress)


def test_a_progress_listens_to_warnings_too() -> None:
    assert methods(Listener)["warn"] == methods(Progress)["warn"]
    assert set(methods(Listener)) == {"warn"}


@pytest.mark.parametrize("name", TOLD)
def test_the_quiet_one_says_nothing(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert getattr(Quiet(), name)(*TOLD[name]) is None
    assert capfd.readouterr() == ("", "")


def test_every_call_is_made_here() -> None:
    assert set(TOLD) == set(methods(Progress))


def test_images_are_counted_unless_it_is_said_what_else() -> None:
    assert methods(Progress)["start"].parameters["unit"].default == "images"
