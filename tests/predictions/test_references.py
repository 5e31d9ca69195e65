"""A store knows the runs that refer to it, wherever they lie."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from toys import ensemble

from ensemble.api import predict
from ensemble.errors import UsageError
from ensemble.predictions.garbage import garbage
from ensemble.predictions.inventory import inventory
from ensemble.predictions.references import references, remember, remembered

STORE, RUNS = Path(".ensemble"), [Path("submissions")]


@pytest.mark.usefixtures("a_run")
def test_a_run_elsewhere_is_known_to_its_store_and_keeps_its_keys(
    members: list[Path], images: Path
) -> None:
    predict.run(members[2], images, out="elsewhere/x", device="cpu")
    assert garbage(STORE).keys == ()
    assert {run for held in inventory(STORE) for run in held.runs} == {
        "submissions/first", "elsewhere/x"
    }  # fmt: skip
    Path("elsewhere/x/run.json").unlink()
    assert len(garbage(STORE).keys) == 1


@pytest.mark.usefixtures("a_run")
def test_a_note_that_a_kill_cut_off_is_cleared_away_by_the_next_run(
    members: list[Path], images: Path
) -> None:
    run = partial(predict.run, members[2], images, out="elsewhere/x", device="cpu")
    run()
    before = set((STORE / "runs").iterdir())
    for note in before:
        (note.parent / f".tmp-{note.name}-x").touch()
    run()
    left = set((STORE / "runs").iterdir()) - before
    assert len(left) == len(before) - 1  # that of another run may be under way


@pytest.mark.usefixtures("a_run")
def test_a_run_on_another_drive_is_known_by_its_whole_path(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(path: object, start: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", apart)  # as on Windows
    predict.run(members[2], images, out="elsewhere/x", device="cpu")
    assert {run for held in inventory(STORE) for run in held.runs} >= {
        str(Path("elsewhere/x").resolve())
    }


@pytest.mark.usefixtures("a_run")
def test_a_store_that_moves_with_its_runs_knows_them_still(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict.run(members[2], images, out="here/x", store="here/store", device="cpu")
    Path("here").rename("there")
    monkeypatch.chdir("submissions")
    (held,) = inventory(Path("../there/store"))
    assert held.runs == ("../there/x",)


@pytest.mark.usefixtures("a_run")
def test_a_store_that_cannot_be_told_of_a_run_is_a_warning(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(STORE / "runs")
    (STORE / "runs").touch()
    args = ("run", "--members", members[0], "--images", images, "--device", "cpu", "--out", "x")
    assert ensemble(*args) == 0
    assert "say --runs x to `ensemble store gc`" in capsys.readouterr().err


@pytest.mark.usefixtures("a_run")
def test_a_damaged_note_of_a_run_stops_the_sweep() -> None:
    (note,) = (STORE / "runs").iterdir()
    note.write_text("{}")
    with pytest.raises(UsageError, match="damaged"):
        garbage(STORE)


# ---- records of runs


def run(folder: Path, record: object) -> Path:
    """A folder with the record of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(record if isinstance(record, str) else json.dumps(record))
    return folder


def members(*keys: str | None) -> dict[str, object]:
    return {"members": [{"key": key} for key in keys]}


def test_a_key_knows_every_run_that_needs_it(tmp_path: Path) -> None:
    run(tmp_path / "runs/b", members("k1", "k2"))
    run(tmp_path / "runs/a", members("k2"))
    found = references([tmp_path / "runs"])
    a, b = (str(tmp_path / f"runs/{name}") for name in "ab")
    assert found == {"k1": (b,), "k2": (a, b)}


def test_the_folder_of_a_run_itself_may_be_named(tmp_path: Path) -> None:
    run(tmp_path / "mine", members("k1"))
    assert references([tmp_path / "mine"]) == {"k1": (str(tmp_path / "mine"),)}


def test_runs_lie_one_folder_deep_and_no_deeper(tmp_path: Path) -> None:
    run(tmp_path / "runs/deep/er", members("k1"))
    assert references([tmp_path / "runs"]) == {}


def test_a_member_from_elsewhere_needs_no_key(tmp_path: Path) -> None:
    run(tmp_path / "runs/a", members(None, "k1"))
    assert list(references([tmp_path / "runs"])) == ["k1"]


def test_what_an_early_exit_needs_is_needed(tmp_path: Path) -> None:
    exits = {"stored": {"ant-f0": "k2"}, "key": "k3", "calibration": "k4", "confidence": 0.9}
    run(tmp_path / "runs/a", {**members("k1"), "early_exit": exits})
    assert set(references([tmp_path / "runs"])) == {"k1", "k2", "k3", "k4"}


def test_a_run_needs_a_key_once(tmp_path: Path) -> None:
    exits = {"stored": {"ant-f0": "k1"}, "key": "k1"}
    run(tmp_path / "runs/a", {**members("k1", "k1"), "early_exit": exits})
    assert references([tmp_path / "runs"]) == {"k1": (str(tmp_path / "runs/a"),)}


def test_an_early_exit_that_stored_nothing_needs_nothing(tmp_path: Path) -> None:
    run(tmp_path / "runs/a", {**members(), "early_exit": {"key": "", "calibration": None}})
    run(tmp_path / "runs/b", {**members(), "early_exit": None})
    assert references([tmp_path / "runs"]) == {}


@pytest.mark.parametrize(
    "record", ["", "{", "[]", "null", "{}", '{"members": 7}', '{"members": [{}]}',
               '{"members": [7]}', '{"members": [], "early_exit": [1]}'],
)  # fmt: skip
def test_a_record_that_is_damaged_is_named_with_what_to_do(tmp_path: Path, record: str) -> None:
    path = run(tmp_path / "runs/a", record) / "run.json"
    with pytest.raises(UsageError) as caught:
        references([tmp_path / "runs"])
    told = "damaged, so it is not known which predictions it refers to; mend or delete it"
    assert str(caught.value) == f"{path}: {told}"


@pytest.mark.parametrize("name", ["gone", "file"])
def test_a_folder_of_runs_that_is_none_is_named_with_the_flag(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"--runs .*{name}: no such folder; name the folder that"):
        references([tmp_path / name])


# ---- notes


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("folder", ["out", "a/b/out", "../out", "store/out", "größe", "a b"])
def test_a_run_that_was_noted_is_remembered_by_its_way_from_here(folder: str) -> None:
    remember(Path("store"), Path(folder))
    assert [os.path.normpath(p) for p in remembered(Path("store"))] == [os.path.normpath(folder)]


@pytest.mark.usefixtures("here")
def test_a_run_is_noted_once() -> None:
    for folder in ("out", "./out", "x/../out"):
        remember(Path("store"), Path(folder))
    assert len(list(Path("store/runs").iterdir())) == 1


@pytest.mark.usefixtures("here")
def test_runs_do_not_replace_each_others_notes() -> None:
    for folder in ("a", "b", "c"):
        remember(Path("store"), Path(folder))
    assert {str(p) for p in remembered(Path("store"))} == {"a", "b", "c"}


def test_what_was_noted_is_found_from_another_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(Path("store"), Path("out"))
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    assert [str(p) for p in remembered(Path("../store"))] == ["../out"]


def test_a_store_that_was_told_of_nothing_remembers_nothing(tmp_path: Path) -> None:
    assert remembered(tmp_path / "store") == []


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("text", ["", "[]", "null", '{"ran": 1}', '"x"'])
def test_a_note_that_is_damaged_is_named_with_what_to_do(text: str) -> None:
    remember(Path("store"), Path("out"))
    (note,) = Path("store/runs").iterdir()
    note.write_text(text)
    with pytest.raises(UsageError, match="delete it, and name that run's folder with --runs$"):
        remembered(Path("store"))
