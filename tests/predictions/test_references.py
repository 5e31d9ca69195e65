"""A store knows the runs that refer to it, wherever they lie."""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from toys import ensemble

from ensemble.api import predict as api
from ensemble.errors import UsageError
from ensemble.predictions.garbage import garbage
from ensemble.predictions.inventory import inventory

pytestmark = pytest.mark.usefixtures("a_run")

STORE, RUNS = Path(".ensemble"), [Path("submissions")]


def test_a_run_elsewhere_is_known_to_its_store_and_keeps_its_keys(
    members: list[Path], images: Path
) -> None:
    api.run(members[2], images, out="elsewhere/x", device="cpu")
    assert garbage(STORE).keys == ()
    assert {run for held in inventory(STORE) for run in held.runs} == {
        "submissions/first", "elsewhere/x"
    }  # fmt: skip
    Path("elsewhere/x/run.json").unlink()
    assert len(garbage(STORE).keys) == 1


def test_a_note_that_a_kill_cut_off_is_cleared_away_by_the_next_run(
    members: list[Path], images: Path
) -> None:
    run = partial(api.run, members[2], images, out="elsewhere/x", device="cpu")
    run()
    before = set((STORE / "runs").iterdir())
    for note in before:
        (note.parent / f".tmp-{note.name}-x").touch()
    run()
    left = set((STORE / "runs").iterdir()) - before
    assert len(left) == len(before) - 1  # that of another run may be under way


def test_a_run_on_another_drive_is_known_by_its_whole_path(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(path: object, start: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", apart)  # as on Windows
    api.run(members[2], images, out="elsewhere/x", device="cpu")
    assert {run for held in inventory(STORE) for run in held.runs} >= {
        str(Path("elsewhere/x").resolve())
    }


def test_a_store_that_moves_with_its_runs_knows_them_still(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.run(members[2], images, out="here/x", store="here/store", device="cpu")
    Path("here").rename("there")
    monkeypatch.chdir("submissions")
    (held,) = inventory(Path("../there/store"))
    assert held.runs == ("../there/x",)


def test_a_store_that_cannot_be_told_of_a_run_is_a_warning(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(STORE / "runs")
    (STORE / "runs").touch()
    args = ("run", "--members", members[0], "--images", images, "--device", "cpu", "--out", "x")
    assert ensemble(*args) == 0
    assert "say --runs x to `ensemble store gc`" in capsys.readouterr().err


def test_a_damaged_note_of_a_run_stops_the_sweep() -> None:
    (note,) = (STORE / "runs").iterdir()
    note.write_text("{}")
    with pytest.raises(UsageError, match="damaged"):
        garbage(STORE)
