"""An ensemble packed in Python, by the arguments of the command."""

from pathlib import Path

import pytest
from packs import noise, run_packed

import ensemble
from ensemble.errors import UsageError


def test_members_become_a_file(tmp_path: Path, members: list[Path]) -> None:
    found = ensemble.pack(
        members, tmp_path / "model.onnx", tta={"ant": "hflip", "bee": "none"},
        weights={"ant": 1, "bee": 2}, triton=tmp_path / "repo", store=tmp_path, progress=None,
    )  # fmt: skip
    assert found.path == tmp_path / "model.onnx"
    assert found.triton == tmp_path / "repo" / "model"
    assert repr(found) == f"<PackedFile {found.path} of ant-f0, ant-f1, bee-f0, bee-f1>"
    assert run_packed(found.path, noise(2, 8, 8, 3))["label"].shape == (2,)


def test_progress_counts_the_members(tmp_path: Path, members: list[Path]) -> None:
    class Counted:
        total, done = 0, 0

        def start(self, total: int, members: int, unit: str = "images") -> None:
            self.total += total

        def advance(self, evaluations: int) -> None:
            self.done += evaluations

        def warn(self, message: str) -> None:
            raise AssertionError(message)

    told = Counted()
    ensemble.pack(members, tmp_path / "model.onnx", store=tmp_path, progress=told)
    assert told.done == told.total == 4


def test_what_is_there_is_replaced_with_force_only(tmp_path: Path, members: list[Path]) -> None:
    out = tmp_path / "model.onnx"
    ensemble.pack(members, out, store=tmp_path, progress=None)
    with pytest.raises(UsageError, match="there already"):
        ensemble.pack(members, out, store=tmp_path, progress=None)
    ensemble.pack(members[:2], out, store=tmp_path, progress=None, force=True)
