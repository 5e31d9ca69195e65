"""What the doctor finds on this machine, and in the store."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toys import ensemble

from ensemble.pipeline import doctor
from ensemble.runtime import openvino, wheels
from ensemble.runtime.devices import CPU, CUDA, why_no_cuda
from ensemble.runtime.diagnosis import examine


def test_cuda_that_cannot_start_is_told_with_the_reason() -> None:
    found = doctor.probe(wheels.installed())
    assert found.providers[CPU] == ""
    reason = why_no_cuda()
    if reason and CUDA in found.providers:
        assert found.providers[CUDA] == reason
        told = [finding.text for finding in examine(wheels.installed(), found)]
        assert f"{CUDA} does not start: {reason}" in told


def test_an_emptied_package_is_told_and_is_no_fault_of_ours(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("")
    script = "from ensemble.cli import main; main(['doctor', '--json'])"
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    first = json.loads(done.stdout)[0]
    assert "empty" in first["text"]
    assert "--force-reinstall" in first["remedy"]


def test_a_store_that_cannot_be_listed_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "predictions").mkdir()
    monkeypatch.setattr(os, "scandir", refused)  # root may list anything
    (store,) = [f for f in doctor.examine(tmp_path) if f.topic == "store"]
    assert "Permission denied" in store.text


def test_a_key_that_was_edited_is_a_problem(tmp_path: Path) -> None:
    key = tmp_path / "predictions" / ("0" * 16) / "key.json"
    key.parent.mkdir(parents=True)
    key.write_text("{}")
    (store,) = [f for f in doctor.examine(tmp_path) if f.topic == "store"]
    assert (store.level, store.remedy) == ("problem", "ensemble store verify")


def test_a_store_that_is_not_there_yet_is_well_and_is_not_made(tmp_path: Path) -> None:
    (store,) = [f for f in doctor.examine(tmp_path / "none") if f.topic == "store"]
    assert (store.level, store.remedy) == ("ok", "")
    assert "the first run makes it" in store.text
    assert list(tmp_path.iterdir()) == []


def test_a_store_says_how_many_keys_it_holds(
    members: list[Path], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ("--members", *members, "--images", images, "--device", "cpu", "--store", "kept")
    assert ensemble("run", *flags) == 0
    (store,) = [f for f in doctor.examine(Path("kept")) if f.topic == "store"]
    assert (store.level, store.text) == ("ok", "the store kept holds 4 keys")


def test_a_round_looks_at_everything_once() -> None:
    found = [finding.topic for finding in doctor.examine(Path.cwd())]
    assert {"onnxruntime", "packages", "provider", "extras", "threads", "disk"} <= set(found)
    assert found.count("store") == 1


def test_without_the_wheel_of_a_gpu_no_library_of_cuda_is_missed() -> None:
    found = doctor.probe({"onnxruntime": "1.31.1"})
    assert found.missing == ()
    assert found.fault == ""


@pytest.mark.parametrize(("there", "told"), [(True, "in bfloat16"), (False, "no bfloat16")])
def test_openvino_is_told_with_what_it_computes_in(
    there: bool, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "computes_bf16", lambda: there)
    (found,) = [f for f in doctor.examine(tmp_path) if f.topic == "openvino"]
    assert found.level == "ok"
    assert told in found.text


def test_openvino_that_cannot_be_imported_is_a_problem_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    (found,) = [f for f in doctor.examine(tmp_path) if f.topic == "openvino"]
    assert (found.level, "--force-reinstall openvino==" in found.remedy) == ("problem", True)


def test_credentials_that_are_missing_are_a_note_with_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    told = [each for each in doctor.examine(tmp_path / "store") if each.topic == "objects"]
    assert [each.level for each in told] == ["ok", "note"]
    assert "credentials for s3:// come from AWS_PROFILE" in told[0].text
    assert told[1].remedy == "gcloud auth application-default login"
