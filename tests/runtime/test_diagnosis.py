"""What the doctor says: each conflict is told apart, with the line that mends it."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ensemble.runtime import diagnosis
from ensemble.runtime.devices import CPU, CUDA
from ensemble.runtime.diagnosis import Probe, examine, libraries, machine
from ensemble.runtime.wheels import EXTRAS, Finding

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
        "pip install 'ensemble-vote[ray]'", "pip install 'ensemble-vote[openvino]'",
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


def topics(found: Mapping[str, str], probe: Probe) -> dict[str, list[Finding]]:
    named: dict[str, list[Finding]] = {}
    for finding in examine(found, probe):
        named.setdefault(finding.topic, []).append(finding)
    return named


def test_packages_are_listed_with_their_versions() -> None:
    (packages,) = topics({"numpy": "2.0", "onnx": "1.17", "onnxruntime": "1.30"}, STARTS)[
        "packages"
    ]
    assert (packages.level, packages.text) == ("ok", "numpy 2.0, onnx 1.17")


def test_each_provider_is_told_with_what_keeps_it_from_starting() -> None:
    found = topics(GPU, Probe(providers={CUDA: "no driver", CPU: ""}))["provider"]
    assert [(f.level, f.text) for f in found] == [
        ("note", f"{CUDA} does not start: no driver"), ("ok", f"{CPU} starts"),
    ]  # fmt: skip


def test_a_wheel_of_the_cpu_says_nothing_of_cuda() -> None:
    assert "cuda" not in topics({**CORE, "onnxruntime": "1.31.1"}, STARTS)


def test_what_cannot_be_imported_says_nothing_of_cuda_or_of_providers() -> None:
    found = topics(GPU, EMPTY)
    assert not found.keys() & {"provider"}
    assert "cuda" not in found


def test_cuda_with_its_driver_and_its_libraries_is_well() -> None:
    (cuda,) = topics(GPU, Probe("", {CPU: "", CUDA: ""}, (), 13_020))["cuda"]
    assert (cuda.level, cuda.remedy) == ("ok", "")
    assert "needs CUDA 13 and cuDNN 9, and its libraries are found" in cuda.text


@pytest.mark.parametrize(
    ("wheel", "driver", "level"),
    [("1.26.0", 12_080, "ok"), ("1.27.0", 12_080, "problem"), ("1.27.0", 13_000, "ok"),
     ("2.0", 12_990, "problem"), ("1.27.0", 12_999, "problem")],
)  # fmt: skip
def test_a_driver_is_too_old_where_the_wheel_takes_a_newer_cuda(
    wheel: str, driver: int, level: str
) -> None:
    (cuda,) = topics({**CORE, "onnxruntime-gpu": wheel}, Probe("", {CPU: ""}, (), driver))["cuda"]
    assert cuda.level == level


def test_all_extras_that_are_there_need_no_line() -> None:
    found = {**GPU, **{name: "1" for names in EXTRAS.values() for name in names}}
    extras = topics(found, STARTS)["extras"]
    assert {(f.level, f.remedy) for f in extras} == {("ok", "")}
    assert [f.text for f in extras] == [f"extra {extra}: installed" for extra in EXTRAS]


def test_an_extra_names_what_it_lacks_only() -> None:
    (_, tune, *_) = topics({**GPU, "matplotlib": "3"}, STARTS)["extras"]
    assert tune.text == "extra tune: without ImageHash, jinja2, scikit-learn"


@pytest.mark.parametrize("wheel", ["1.27.0.dev20260101", "1.30.0+cu13", "2.0"])
def test_the_release_of_an_odd_version_is_read(wheel: str) -> None:
    assert "libcudart.so.13" in libraries(wheel)


@pytest.mark.parametrize(
    ("file", "told"),
    [("200000 100000", "control group 2 of them: say --threads 2"),
     ("50000 100000", "control group 0.5 of them: say --threads 1")],
)  # fmt: skip
def test_a_control_group_with_fewer_processors_is_told(
    file: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(diagnosis, "_text", lambda path: file if "cpu.max" in path else "")
    (threads,) = [f for f in machine(Path.cwd()) if f.topic == "threads"]
    assert told in threads.text


@pytest.mark.parametrize("file", ["max 100000", "", "900000 100000", "odd"])
def test_a_control_group_that_takes_nothing_away_is_not_told(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(diagnosis, "_text", lambda path: file if "cpu.max" in path else "")
    (threads,) = [f for f in machine(Path.cwd()) if f.topic == "threads"]
    assert "control group" not in threads.text


@pytest.mark.parametrize(
    ("limit", "told"),
    [("max", ["8.0 GB are available"]), ("2000000000", ["8.0 GB are available, the control "
                                                        "group's limit is 2.0 GB"])],
)  # fmt: skip
def test_memory_is_told_with_the_limit_of_a_control_group(
    limit: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"/proc/meminfo": "MemTotal: 1 kB\nMemAvailable:    8000000 kB\n",
             "/sys/fs/cgroup/memory.max": limit}  # fmt: skip
    monkeypatch.setattr(diagnosis, "_text", lambda path: files.get(path, ""))
    assert [f.text for f in machine(Path.cwd()) if f.topic == "memory"] == told


def test_a_system_that_tells_no_memory_has_no_line_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_text", lambda _: "")
    assert "memory" not in {f.topic for f in machine(Path.cwd())}


@pytest.mark.parametrize(("free", "level"), [(999_999_999, "problem"), (1_000_000_000, "ok")])
def test_a_disk_with_less_than_a_gigabyte_is_a_problem(
    free: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "free_bytes", lambda _: free)
    (disk,) = [f for f in machine(tmp_path) if f.topic == "disk"]
    assert disk.level == level
    assert bool(disk.remedy) == (level == "problem")
