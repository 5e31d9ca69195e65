"""One wheel of ONNX Runtime, never two; and the extras are those of the project."""

import tomllib
from pathlib import Path

import pytest
from toys import ensemble

from ensemble.errors import ProviderError
from ensemble.runtime import wheels
from ensemble.runtime.wheels import check_wheels

CORE = {"numpy": "2.0"}
GPU = {**CORE, "onnxruntime-gpu": "1.31.1"}
BOTH = {**GPU, "onnxruntime": "1.31.1"}


def test_both_wheels_are_refused_before_a_run() -> None:
    with pytest.raises(ProviderError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        check_wheels(BOTH)
    check_wheels(GPU)


def test_a_run_with_both_wheels_exits_4(
    members: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.inference.score.installed", lambda: BOTH)
    assert ensemble("run", "--members", *members, "--images", "no-such-folder") == 4
    assert "both installed" in capsys.readouterr().err


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for extra, names in wheels.EXTRAS.items():
        wanted = project["optional-dependencies"][extra]
        assert sorted(names) == sorted(line.partition(">")[0] for line in wanted)
