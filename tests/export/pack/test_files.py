"""The files of a packed ensemble: nothing half written, and data that belongs to its graph."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from packs import noise, packed, run_packed, toys_of
from toys import external

from ensemble.errors import StoreError, UsageError
from ensemble.export.pack import files
from ensemble.export.pack.files import check_target
from ensemble.files.atomic import sha256_file
from ensemble.pipeline import pack as pipeline


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One file holds next to nothing: weights go beside it."""
    monkeypatch.setattr(files, "MAX_PROTOBUF", 0)


def test_weights_beyond_the_largest_file_go_beside_it(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = toys_of(tmp_path)
    apart = packed(tmp_path, members, "apart/model.onnx")
    monkeypatch.undo()
    whole = packed(tmp_path, members, "whole/model.onnx")
    told = json.loads((tmp_path / "apart" / "model.json").read_text())["data"]
    data = tmp_path / "apart" / told["file"]
    assert told == {"file": data.name, "sha256": sha256_file(data), "bytes": data.stat().st_size}
    assert data.name == f"model-{told['sha256'][:16]}.data"
    pixels = noise(7, 8, 8, 3)
    for name, rows in run_packed(whole.path, pixels).items():
        np.testing.assert_array_equal(run_packed(apart.path, pixels)[name], rows)


@pytest.mark.usefixtures("small")
def test_the_same_ensemble_gives_the_same_bytes_beside_too(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    for folder, given in (("one", members), ("two", members[::-1])):
        packed(tmp_path, given, f"{folder}/model.onnx")
    one, two = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.usefixtures("small")
def test_a_folder_that_was_moved_still_loads(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path), "here/model.onnx")
    before = run_packed(found.path, noise(2, 8, 8, 3))
    moved = shutil.move(found.path.parent, tmp_path / "there")
    after = run_packed(Path(moved) / "model.onnx", noise(2, 8, 8, 3))
    np.testing.assert_array_equal(before["probabilities"], after["probabilities"])


@pytest.mark.usefixtures("small")
def test_data_of_another_pack_is_not_taken_for_its_own(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    one = packed(tmp_path, members[:2], "one/model.onnx")
    two = packed(tmp_path, members[2:], "two/model.onnx")
    one.files[0].unlink()
    shutil.copy(two.files[0], one.path.parent)
    with pytest.raises(Exception, match="model-[0-9a-f]{16}.data"):
        ort.InferenceSession(one.path, providers=["CPUExecutionProvider"])


@pytest.mark.usefixtures("small")
def test_data_that_is_missing_is_refused_by_the_runtime(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path))
    found.files[0].unlink()
    with pytest.raises(Exception, match="model-[0-9a-f]{16}.data"):
        ort.InferenceSession(found.path, providers=["CPUExecutionProvider"])


@pytest.mark.usefixtures("small")
def test_data_that_was_put_in_its_place_shows_by_the_hash(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path))
    data = bytearray(found.files[0].read_bytes())
    data[0] ^= 1
    found.files[0].write_bytes(data)
    told = json.loads(found.path.with_suffix(".json").read_text())["data"]
    assert sha256_file(found.files[0]) != told["sha256"]


@pytest.mark.usefixtures("small")
def test_data_of_a_pack_that_was_replaced_goes(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    first = packed(tmp_path, members[:2])
    other = tmp_path / "model-f0.data"
    other.write_bytes(b"a file of the user's")
    first.path.unlink()
    first.path.with_suffix(".json").unlink()
    second = packed(tmp_path, members[2:])
    assert not first.files[0].exists()
    assert second.files[0].exists()
    assert other.exists()


def test_members_with_weights_beside_them_are_packed(tmp_path: Path) -> None:
    members = [external(tmp_path, f"toy-f{n}", seed=n) for n in (0, 1)]
    found = packed(tmp_path, members)
    assert found.difference < 1e-6
    assert len(found.files) == 2


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(UsageError, match=r"model.json: there already; say --force"):
        check_target(tmp_path / "model.onnx", force=False)
    check_target(tmp_path / "model.onnx", force=True)


@pytest.mark.parametrize("name", ["model.pt", "model", ".onnx"])
def test_a_file_of_another_kind_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"expected a file that ends in .onnx"):
        check_target(tmp_path / name, force=False)


def test_a_proof_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> float:
        raise UsageError("no")

    monkeypatch.setattr(pipeline, "prove_packed", refuse)
    with pytest.raises(UsageError):
        packed(tmp_path, toys_of(tmp_path), "out/model.onnx")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_written", full)
    with pytest.raises(StoreError, match=r"cannot write .*model.onnx: No space left"):
        packed(tmp_path, toys_of(tmp_path))
