"""Running and voting in Python: the arguments are the settings."""

import inspect
import threading
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path

import pandas as pd
import pytest
from toys import ensemble

from ensemble.api import predict
from ensemble.errors import UsageError
from ensemble.files.csv_tables import column_of
from ensemble.progress import Quiet
from ensemble.recipe.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_python_votes_on_the_stored_predictions_of_members(
    members: list[Path], images: Path
) -> None:
    made = predict.run(members, images, tta="hflip", out="one", store="kept", device="cpu")
    again = predict.vote(members=members, images=images, tta="hflip", store="kept", out="two",
                     device="cpu")  # fmt: skip
    assert again.labels == made.labels
    assert again.record["evaluations"] == 0


@pytest.mark.parametrize("more", [{"run": "one"}, {}])
def test_python_votes_on_one_thing(more: dict[str, str], members: list[Path]) -> None:
    with pytest.raises(UsageError, match="folder, predictions or members: one of them"):
        predict.vote(**more, members=members if more else None)  # type: ignore[arg-type]


def test_python_refuses_what_a_run_has_decided() -> None:
    with pytest.raises(UsageError, match="tta, device: only members leave it open"):
        predict.vote("one", tta="hflip", device="cpu")


BESIDE = {"progress", "folds", "run", "predictions", "rows_of", "classes", "task"}
"""Arguments that are no settings."""


def default_of(name: str) -> object:
    """A setting's default as Python takes it; None where there is none, or where it is made."""
    (entry,) = (each for each in fields(Settings) if each.name == name)
    default = None if entry.default is MISSING else entry.default
    return str(default) if isinstance(default, Path) else default


@pytest.mark.parametrize("function", [predict.run, predict.vote, predict.predict_oof])
def test_every_argument_is_a_setting(function: Callable[..., object]) -> None:
    assert set(inspect.signature(function).parameters) - BESIDE <= {
        f.name for f in fields(Settings)
    }


def test_a_run_takes_every_setting() -> None:
    taken = set(inspect.signature(predict.run).parameters)
    assert taken - BESIDE == {entry.name for entry in fields(Settings)}


@pytest.mark.parametrize("function", [predict.run, predict.predict_oof])
def test_the_defaults_are_those_of_the_settings(function: Callable[..., object]) -> None:
    arguments = inspect.signature(function).parameters
    found = {n: p.default for n, p in arguments.items() if p.kind is p.KEYWORD_ONLY}
    found.pop("progress")
    assert found == {name: default_of(name) for name in found}


def test_a_vote_leaves_every_setting_to_its_run_but_force() -> None:
    arguments = inspect.signature(predict.vote).parameters
    given = {name: entry.default for name, entry in arguments.items() if entry.default is not None}
    assert given.pop("progress") == "auto"
    assert given == {"force": False}


def test_python_writes_the_oof_that_the_command_writes(members: list[Path], images: Path) -> None:
    names = sorted(path.stem for path in images.iterdir())
    rows = [f"{name},{number % 2}" for number, name in enumerate(names)]
    Path("folds.csv").write_text("\n".join(["id,fold", *rows]))
    folds = ["--members", *map(str, members), "--images", str(images), "--folds", "folds.csv"]
    assert ensemble("oof", *folds, "--device", "cpu", "--out", "a.parquet") == 0
    found = predict.predict_oof(members, images, "folds.csv", out="b.parquet", device="cpu")
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()
    found.save("c.parquet")
    assert Path("c.parquet").read_bytes() == Path("b.parquet").read_bytes()


def test_a_sample_may_be_a_frame(members: list[Path], images: Path) -> None:
    names = sorted((path.stem for path in images.iterdir()), reverse=True)
    sample = pd.DataFrame({"id": names, "label": "?"})
    made = predict.run(members, images, sample=sample, out="one", device="cpu")
    assert made.path is not None
    assert list(column_of(made.path, "label")) == names
    with pytest.raises(UsageError, match="was a table in memory.*; give it again"):
        predict.vote(made, voting="hard", out="two")
    again = predict.vote(made, voting="hard", sample=sample, out="two")
    assert again.ids == made.ids


def test_another_sample_is_another_run(members: list[Path], images: Path) -> None:
    sample = pd.DataFrame({"id": sorted(path.stem for path in images.iterdir()), "label": "?"})
    predict.run(members, images, sample=sample, out="one", device="cpu")
    predict.run(members, images, sample=sample, out="one", device="cpu")
    with pytest.raises(UsageError, match="holds a run with other settings"):
        predict.run(members, images, sample=sample[::-1], out="one", device="cpu")


def test_folds_may_be_given_by_id(members: list[Path], images: Path) -> None:
    names = sorted(path.stem for path in images.iterdir())
    folds = pd.Series([number % 2 for number in range(len(names))], names)
    found = predict.predict_oof(members, images, folds, device="cpu")
    assert found.folds is not None
    assert dict(zip(found.ids, found.folds.tolist(), strict=True)) == folds.to_dict()


@pytest.mark.parametrize("more", [{"rows_of": "x.csv"}, {"classes": "a,b"}, {"task": "multilabel"}])
def test_what_files_do_not_say_goes_with_predictions(more: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="only predictions leave it open; leave it out"):
        predict.vote("one", **more)  # type: ignore[arg-type]


def test_progress_is_told_in_the_thread_of_the_caller(members: list[Path], images: Path) -> None:
    threads: set[int] = set()

    class Watching(Quiet):
        def advance(self, evaluations: int) -> None:
            threads.add(threading.get_ident())

        def warn(self, message: str) -> None:
            threads.add(threading.get_ident())

    predict.run(members, images, device="cpu", shard_size=2, progress=Watching())
    assert threads == {threading.get_ident()}
