"""Recording: whatever a tracker does, the work goes on, within a time, and is told of it."""

import os
import time
from pathlib import Path

import pytest
from fake_trackers import fake_tensorboard, told
from fake_workers import Told
from PIL import Image

from ensemble.recipe.track import PACKAGES, Track
from ensemble.reports.trackers.record import ready, record
from ensemble.reports.trackers.tracked import Tracked
from ensemble.worker import WATCH

__all__ = ["fake_tensorboard"]

TRACKS = (Track("tensorboard", "kept"),)


def _drawn(path: Path) -> None:
    Image.new("RGB", (4, 3)).save(path)


def what() -> Tracked:
    return Tracked("first", {"tta": "flip"}, {"accuracy": 0.5}, {"weights": _drawn})


def test_what_is_not_installed_is_said_at_once_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PACKAGES, "wandb", "no_such_package")
    monkeypatch.setitem(PACKAGES, "tensorboard", "json")
    heard = Told()
    assert ready([Track("wandb"), Track("tensorboard")], heard) == (Track("tensorboard"),)
    assert heard.said == [
        "wandb records nothing, since no_such_package is not installed: pip install "
        "'ensemble-vote[wandb]', or in a clone pip install '.[wandb]'; the work goes on without it"
    ]


def test_nobody_is_told_anything_unless_asked() -> None:
    heard = Told()
    record((), lambda: pytest.fail("asked for"), heard)
    assert heard.said == []


@pytest.mark.usefixtures("fake_tensorboard")
def test_a_tracker_is_told_all_of_it_and_where_it_lies_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Told()
    record(TRACKS, what, heard)
    record(TRACKS, what, heard)
    assert told(tmp_path)[:5] == [
        ["open", "kept/first"],
        ["setting", "tta", "flip"],
        ["score", "accuracy", 0.5],
        ["picture", "weights", [3, 4, 3]],
        ["close"],
    ]
    there = [f"kept/{name}; tensorboard --logdir kept shows it" for name in ("first", "first-2")]
    assert heard.said == [f"tensorboard has recorded it: {where}" for where in there]
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("fake_tensorboard")
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        *((f"raise {step}", f"RuntimeError: no {step}, whatever one tries")
          for step in ("import", "open", "setting", "score", "picture", "close")),
        ("quit score", "SystemExit: 3"),
        ("crash score", "its process ended with exit code 7"),
    ],
)  # fmt: skip
def test_a_tracker_that_fails_anywhere_is_a_note_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, fault: str, why: str
) -> None:
    monkeypatch.setenv("FAULT", fault)
    heard = Told()
    record(TRACKS, what, heard)
    assert heard.said == [
        f"tensorboard has not recorded it, and nothing else is amiss: {why}; name a folder that "
        f"can be written to (--track tensorboard=DIR), and the same command again records it"
    ]


@pytest.mark.usefixtures("fake_tensorboard")
@pytest.mark.parametrize("step", ["import", "close"])
def test_a_tracker_that_hangs_is_ended_in_time(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setenv("FAULT", f"hang {step}")
    heard, began = Told(), time.monotonic()
    record(TRACKS, what, heard, limit=0.5)
    assert time.monotonic() - began < 10
    assert "it did not end within 0.5 s; name a folder" in heard.said[0]


@pytest.mark.usefixtures("fake_tensorboard")
def test_a_folder_that_cannot_be_made_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    heard = Told()
    record((Track("tensorboard", "file"),), what, heard)
    assert "has not recorded it, and nothing else is amiss: FileExistsError" in heard.said[0]


@pytest.mark.usefixtures("fake_tensorboard")
def test_a_picture_that_cannot_be_drawn_leaves_the_rest(tmp_path: Path) -> None:
    def missing(path: Path) -> None:
        raise ModuleNotFoundError("No module named 'matplotlib'")

    heard = Told()
    record(TRACKS, lambda: Tracked("first", {}, {"accuracy": 0.5}, {"weights": missing}), heard)
    assert heard.said[0] == "no picture is recorded: matplotlib comes with the extra `tune`"
    assert told(tmp_path)[1:] == [["score", "accuracy", 0.5], ["close"]]


def test_what_cannot_be_told_is_a_note() -> None:
    def broken() -> Tracked:
        raise KeyError("recipe")

    heard = Told()
    record(TRACKS, broken, heard)
    assert heard.said == ["no tracker has recorded it: KeyError: 'recipe'"]


@pytest.mark.usefixtures("fake_tensorboard")
@pytest.mark.parametrize("fault", ["", "raise http://me:se/cret@there"])
def test_a_secret_in_an_address_is_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    fake = tmp_path / "packages" / "tensorboardX.py"
    fake.write_text(f"{fake.read_text()}\nmay_fail('http://me:se/cret@there')\n")
    monkeypatch.setenv("FAULT", fault)
    heard = Told()
    record((Track("tensorboard", "http://me:se/cret@there"),), what, heard)
    assert "/…@there" in heard.said[0]
    assert "cret" not in heard.said[0]


@pytest.mark.usefixtures("fake_tensorboard")
def test_a_tracker_inherits_no_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WATCH, "{}")
    fake = tmp_path / "packages" / "tensorboardX.py"
    names = f"[os.environ.get(name) for name in ({WATCH!r}, 'DO_NOT_TRACK')]"
    fake.write_text(f"{fake.read_text()}\nkeep('environment', {names})\n")
    record(TRACKS, what, Told())
    assert told(tmp_path)[0] == ["environment", [None, "true"]]
    assert "DO_NOT_TRACK" not in os.environ
