"""Locks, and writes that a full disk or a crash cuts off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.errors import StoreError, UsageError
from ensemble.files import atomic as files
from ensemble.files.atomic import (
    check_writable,
    locked,
    publish,
    publish_bytes,
    publish_json,
    remove_temporaries,
)

STEPS = ("mkstemp", "write", "fsync", "replace", "fsync the folder")


def fail_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full at one step of the recipe."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def sync(path: Path, _: int) -> None:
        if path.is_dir() == (step == "fsync the folder"):
            full()

    places = {"mkstemp": (files.tempfile, "mkstemp", full), "write": (files, "_fill", full),
              "replace": (Path, "replace", full)}  # fmt: skip
    owner, name, fault = places.get(step, (files, "_sync", sync))
    monkeypatch.setattr(owner, name, fault)


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_at_any_step_leaves_the_old_file_or_the_new_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.json"
    publish_bytes(path, b"old")
    fail_at(step, monkeypatch)
    with pytest.raises(StoreError, match=r"cannot write .*a\.json: No space left"):
        publish_bytes(path, b"new")
    assert path.read_bytes() == (b"new" if step == "fsync the folder" else b"old")
    assert list(tmp_path.iterdir()) == [path]


def be_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what `os` lacks on Windows, open no folder, and sync what is writable only."""
    opened, synced = os.open, os.fsync

    def open_file(path: str | Path, flags: int, *args: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, *args)

    def sync_written(descriptor: int) -> None:
        os.write(descriptor, b"")  # EBADF where it is not open for writing
        synced(descriptor)

    for name in ("fchmod", "pwrite", "pread"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", sync_written)
    monkeypatch.setattr(files, "_FOLDERS_OPEN", False)


def test_a_file_is_published_with_what_windows_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_windows(monkeypatch)
    for data in (b"old", b"new"):
        publish_bytes(tmp_path / "a.json", data)
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_a_lock_names_its_process_with_what_windows_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_windows(monkeypatch)
    for pid in (47110, 11):
        with locked(tmp_path / "lock", pid, "works"):
            assert (tmp_path / "lock").read_text() == str(pid)


def test_a_published_file_can_be_read_by_all(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "a.json", b"")
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_a_full_device_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    def write(_: Path) -> None:
        with Path("/dev/full").open("wb", buffering=0) as stream:
            stream.write(b"x")

    with pytest.raises(StoreError, match=r"a\.json: No space left"):
        publish(tmp_path / "a.json", write)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(28, "make room there"), (27, "ulimit -f"), (13, "name another place"), (20, "a file stands")],
)
def test_what_the_disk_refuses_comes_with_its_remedy(number: int, remedy: str) -> None:
    assert remedy in str(files.refused("write", Path("a"), OSError(number, os.strerror(number))))


def test_a_folder_below_a_file_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--out .*file/x cannot be written to: .*not a folder"):
        check_writable(tmp_path / "file" / "x", "--out")


def test_a_folder_without_permission_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.F_OK)  # root may write anywhere
    with pytest.raises(UsageError, match="no permission to write there"):
        check_writable(tmp_path, "--store")


def test_a_folder_that_can_be_made_can_be_written_to(tmp_path: Path) -> None:
    check_writable(tmp_path / "not" / "yet", "--out")
    assert not list(tmp_path.iterdir())


def test_temporaries_are_removed_by_the_name_of_their_file(tmp_path: Path) -> None:
    for name in (".tmp-oof.parquet-x", ".tmp-other.csv-x", "oof.csv"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, "oof.")
    assert {p.name for p in tmp_path.iterdir()} == {".tmp-other.csv-x", "oof.csv"}


def test_a_lock_that_is_held_names_its_process(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", 4711, "works"),
        pytest.raises(UsageError, match="process 4711"),
        locked(tmp_path / "lock", 1, "works", patience=0),
    ):
        pass


def test_a_lock_is_free_after_its_block(tmp_path: Path) -> None:
    for pid in (1, 2):
        with locked(tmp_path / "lock", pid, "works", patience=0):
            assert (tmp_path / "lock").read_text() == str(pid)


def test_a_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom ensemble.files.atomic import locked\n"
        f"with locked(Path({str(path)!r}), os.getpid(), 'works'):\n print('held', flush=True)\n"
        " sys.stdin.read()"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], env=env, text=True, **pipes) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=str(holder.pid)), locked(path, 1, "works", patience=0):
            pass
        holder.kill()
    with locked(path, 1, "works", patience=0):
        pass


def test_json_that_is_published_is_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        publish_json(tmp_path / "a.json", {"score": float("nan")})
    assert not list(tmp_path.iterdir())
