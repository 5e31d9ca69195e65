"""Voting in Python: on one thing, with the settings of its run."""

import inspect
from pathlib import Path

import pytest

from ensemble.api.predict import run
from ensemble.api.vote import vote
from ensemble.errors import UsageError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_python_votes_on_the_stored_predictions_of_members(
    members: list[Path], images: Path
) -> None:
    made = run(members, images, tta="hflip", out="one", store="kept", device="cpu")
    again = vote(members=members, images=images, tta="hflip", store="kept", out="two",
                 device="cpu")  # fmt: skip
    assert again.labels == made.labels
    assert again.record["evaluations"] == 0


@pytest.mark.parametrize("more", [{"run": "one"}, {}])
def test_python_votes_on_one_thing(more: dict[str, str], members: list[Path]) -> None:
    with pytest.raises(UsageError, match="folder, predictions or members: one of them"):
        vote(**more, members=members if more else None)  # type: ignore[arg-type]


def test_python_refuses_what_a_run_has_decided() -> None:
    with pytest.raises(UsageError, match="tta, device: only members leave it open"):
        vote("one", tta="hflip", device="cpu")


def test_a_vote_leaves_every_setting_to_its_run_but_force() -> None:
    arguments = inspect.signature(vote).parameters
    given = {name: entry.default for name, entry in arguments.items() if entry.default is not None}
    assert given.pop("progress") == "auto"
    assert given == {"force": False, "track": ()}


@pytest.mark.parametrize("more", [{"rows_of": "x.csv"}, {"classes": "a,b"}, {"task": "multilabel"}])
def test_what_files_do_not_say_goes_with_predictions(more: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="only predictions leave it open; leave it out"):
        vote("one", **more)  # type: ignore[arg-type]
