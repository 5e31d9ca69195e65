"""What the doctor says: each conflict is told apart, with the line that mends it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ensemble.runtime.devices import CPU, CUDA
from ensemble.runtime.diagnosis import Probe, examine, libraries, machine
from ensemble.runtime.wheels import Finding

CORE = {"numpy": "2.0"}
GPU = {**CORE, "onnxruntime-gpu": "1.31.1"}
STARTS = Probe(providers={CPU: ""})
BOTH = {**GPU, "onnxruntime": "1.31.1"}
EMPTY = Probe(fault="the package onnxruntime is empty")


def problems(found: Mapping[str, str], probe: Probe) -> list[Finding]:
    return [finding for finding in examine(found, probe) if finding.level == "problem"]


@pytest.mark.parametrize(
    ("found", "probe", "text", "remedy"),
    [
        (BOTH, STARTS, "both installed", "pip uninstall -y onnxruntime onnxruntime-gpu && pip "),
        (GPU, EMPTY, "is empty", "--force-reinstall --no-deps onnxruntime-gpu==1.31.1"),
        ({**CORE, "onnxruntime": "1.30.0"}, EMPTY, "is empty", "--no-deps onnxruntime==1.30.0"),
        (CORE, Probe(fault="cannot be imported"), "no wheel", "pip install onnxruntime"),
        (GPU, Probe(providers={CPU: "broken"}), "no provider starts", "--force-reinstall"),
        (GPU, Probe("", {CPU: ""}, ("libcudnn.so.9",), 13000), "missing: libcudnn.so.9",
         "pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'"),
        (GPU, Probe("", {CPU: ""}, (), 12080), "takes CUDA 12.8",
         "pip install 'onnxruntime-gpu[cuda,cudnn]<1.27'"),
    ],
    ids=["both", "empty-gpu", "empty-cpu", "neither", "nothing-starts", "no-cudnn", "old-driver"],
)  # fmt: skip
def test_each_conflict_is_told_apart_with_its_remedy(
    found: Mapping[str, str], probe: Probe, text: str, remedy: str
) -> None:
    (problem,) = problems(found, probe)
    assert text in problem.text
    assert remedy in problem.remedy


@pytest.mark.parametrize("found", [GPU, {**CORE, "onnxruntime": "1.31.1"}])
def test_one_wheel_that_starts_is_no_problem(found: Mapping[str, str]) -> None:
    assert problems(found, STARTS) == []


def test_a_machine_without_a_driver_is_no_problem_and_what_is_missing_is_named() -> None:
    probe = Probe("", {CPU: "", CUDA: "no NVIDIA driver"}, ("libcuda.so.1",), 0)
    assert problems(GPU, probe) == []
    assert any("libcuda.so.1" in finding.text for finding in examine(GPU, probe))


@pytest.mark.parametrize(("wheel", "major"), [("1.26.0", 12), ("1.27.0", 13), ("1.31.1", 13)])
def test_a_wheel_needs_the_libraries_of_its_cuda(wheel: str, major: int) -> None:
    assert {f"libcudart.so.{major}", "libcudnn.so.9", "libcuda.so.1"} <= set(libraries(wheel))


def test_an_extra_that_is_not_there_comes_with_its_line() -> None:
    notes = [f for f in examine({**GPU, "matplotlib": "3"}, STARTS) if f.topic == "extras"]
    assert [f.remedy for f in notes] == [
        "pip install 'ensemble-vote[export]'", "pip install 'ensemble-vote[tune]'",
    ]  # fmt: skip


def test_the_machine_is_described_where_the_store_is_not_there_yet(tmp_path: Path) -> None:
    topics = {finding.topic for finding in machine(tmp_path / "not" / "yet")}
    assert {"threads", "disk"} <= topics
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written_to_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problem = next(f for f in machine(tmp_path / "file" / "store") if f.level == "problem")
    assert "not a folder" in problem.text
    assert "--store" in problem.remedy
