"""The command line: its options, its exit codes, and what goes where."""

import os
from pathlib import Path

import pytest
from processes import start
from toys import ensemble

from ensemble.pipeline import run as pipeline


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("debug", [False, True])
def test_an_unforeseen_fault_exits_1_and_shows_its_traceback_on_request(
    debug: bool,
    images: Path,
    members: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(pipeline, "run", fail)
    flags = ["--debug"] if debug else []
    assert ensemble(*flags, "run", "--members", *members, "--images", images) == 1
    said = capsys.readouterr().err
    assert "nobody thought of this" in said
    assert ("Traceback" in said) == debug


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("folds l.csv --check f.csv --k 3 --seed 1", "--k, --seed: --check makes no folds"),
        ("folds l.csv --check f.csv --out o.csv", "--out: --check makes no folds"),
        ("inspect a.onnx --family ant --output-name x", "--family, --output-name: only --write"),
        ("export a.pt --arch x --out o --head age --classes sex=a,b", "--head age: --classes "),
    ],
)
def test_flags_that_would_be_ignored_are_refused(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(*command.split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "code", "said"), [("torch", 2, "ensemble-vote[export]"), ("numpy", 1, "numpy")]
)
def test_a_package_that_is_not_there_is_told_with_its_extra(
    package: str,
    code: int,
    said: str,
    members: list[Path],
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(pipeline, "run", fail)
    assert ensemble("run", "--members", *members, "--images", images) == code
    assert said in capsys.readouterr().err


def test_an_empty_value_is_refused(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("run", "--members", *members, "--images", images, "--weights", "") == 2
    assert "--weights is empty" in capsys.readouterr().err


def test_an_argument_that_is_not_utf8_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("oof", "--folds", "f.csv", "--out", os.fsdecode(b"\xff/oof.parquet")) == 2
    assert r"'\udcff/oof.parquet' is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "args", [["inspect", "folds", "--json"], ["inspect", "folds"], ["run", "--members", "folds"]],
    ids=["json", "table", "run"],
)  # fmt: skip
def test_a_pipe_that_nobody_reads_ends_a_command_with_1_and_no_fault(
    members: list[Path], images: Path, args: list[str]
) -> None:
    with start(images.parent, *args) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert "rror" not in said


def test_debug_may_stand_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("run", "--members", "none.onnx", "--debug") == 4
    assert "Traceback" in capsys.readouterr().err
