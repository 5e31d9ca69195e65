"""One wheel of ONNX Runtime, never two; and the extras are those of the project."""

import platform
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
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
    monkeypatch.setattr("ensemble.inference.start_members.installed", lambda _: BOTH)
    assert ensemble("run", "--members", *members, "--images", "no-such-folder") == 4
    assert "both installed" in capsys.readouterr().err


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for extra, names in wheels.EXTRAS.items():
        wanted = project["optional-dependencies"][extra]
        assert sorted(names) == sorted(line.partition(">")[0] for line in wanted)


@pytest.mark.parametrize("found", [{}, CORE, GPU, {**CORE, "onnxruntime": "1.30.0"}])
def test_one_wheel_or_none_passes(found: Mapping[str, str]) -> None:
    check_wheels(found)


def test_both_wheels_are_named_with_their_versions() -> None:
    finding = wheels.both_installed({"onnxruntime": "1.30.0", "onnxruntime-gpu": "1.31.1"})
    assert finding.text.startswith("onnxruntime 1.30.0 and onnxruntime-gpu 1.31.1 are both")
    assert (finding.topic, finding.level) == ("onnxruntime", "problem")


@pytest.mark.parametrize(
    ("system", "machine", "wheel"),
    [
        ("Linux", "x86_64", "onnxruntime-gpu"), ("Windows", "AMD64", "onnxruntime-gpu"),
        ("Linux", "aarch64", "onnxruntime"), ("Darwin", "arm64", "onnxruntime"),
        ("Darwin", "x86_64", "onnxruntime"),
    ],
)  # fmt: skip
def test_the_usual_wheel_is_that_of_the_machine(
    system: str, machine: str, wheel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert wheels.usual_wheel() == wheel
    assert wheels.both_installed(BOTH).remedy.endswith(f"pip install {wheel}")


def test_what_is_installed_has_the_version_that_it_says_itself() -> None:
    found = wheels.installed()
    assert found["numpy"] == np.__version__
    assert not found.keys() & {"no-such-package"}
    assert {"onnxruntime", "onnxruntime-gpu"} & found.keys()


def test_only_what_is_named_is_looked_for() -> None:
    assert wheels.installed(["numpy", "no-such-package"]) == {"numpy": np.__version__}
