"""Running in Python: the arguments are the settings."""

import inspect
import threading
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path

import pandas as pd
import pytest
from toys import ensemble

from ensemble.api import predict
from ensemble.api.vote import vote
from ensemble.errors import UsageError
from ensemble.files.csv_tables import column_of
from ensemble.progress import Quiet
from ensemble.recipe.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


BESIDE = {"progress", "folds", "run", "predictions", "rows_of", "classes", "task"}
"""Arguments that are no settings."""


def default_of(name: str) -> object:
    """A setting's default as Python takes it; None where there is none, or where it is made."""
    (entry,) = (each for each in fields(Settings) if each.name == name)
    default = None if entry.default is MISSING else entry.default
    return str(default) if isinstance(default, Path) else default


@pytest.mark.parametrize("function", [predict.run, vote, predict.predict_oof])
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
        vote(made, voting="hard", out="two")
    again = vote(made, voting="hard", sample=sample, out="two")
    assert again.ids == made.ids


def test_another_sample_is_another_run(members: list[Path], images: Path) -> None:
    sample = pd.DataFrame({"id": sorted(path.stem for path in images.iterdir()), "label": "?"})
    predict.run(members, images, sample=sample, out="one", device="cpu")
    predict.run(members, images, sample=sample, out="one", device="cpu")
    with pytest.raises(UsageError, match="one was made with other --sample; name"):
        predict.run(members, images, sample=sample[::-1], out="one", device="cpu")


def test_folds_may_be_given_by_id(members: list[Path], images: Path) -> None:
    names = sorted(path.stem for path in images.iterdir())
    folds = pd.Series([number % 2 for number in range(len(names))], names)
    found = predict.predict_oof(members, images, folds, device="cpu")
    assert found.folds is not None
    assert dict(zip(found.ids, found.folds.tolist(), strict=True)) == folds.to_dict()


def test_progress_is_told_in_the_thread_of_the_caller(members: list[Path], images: Path) -> None:
    threads: set[int] = set()

    class Watching(Quiet):
        def advance(self, evaluations: int) -> None:
            threads.add(threading.get_ident())

        def warn(self, message: str) -> None:
            threads.add(threading.get_ident())

    predict.run(members, images, device="cpu", shard_size=2, progress=Watching())
    assert threads == {threading.get_ident()}
