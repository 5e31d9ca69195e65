"""What is written is whole or not there, whatever cuts it off; locks and hashes tell the truth."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.errors import StoreError, UsageError
from ensemble.files import atomic
from ensemble.files.atomic import (
    check_writable,
    free_bytes,
    locked,
    publish,
    publish_bytes,
    publish_json,
    remove,
    remove_temporaries,
    sha256_bytes,
    sha256_file,
    sha256_json,
)

STEPS = ("mkstemp", "write", "fsync", "replace", "fsync the folder")


def fail_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full at one step of the recipe."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def sync(path: Path, _: int) -> None:
        if path.is_dir() == (step == "fsync the folder"):
            full()

    places = {"mkstemp": (atomic.tempfile, "mkstemp", full), "write": (atomic, "_fill", full),
              "replace": (Path, "replace", full)}  # fmt: skip
    owner, name, fault = places.get(step, (atomic, "_sync", sync))
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
    monkeypatch.setattr(atomic, "_FOLDERS_OPEN", False)


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
    assert remedy in str(
        atomic.disk_error("write", Path("a"), OSError(number, os.strerror(number)))
    )


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


# ---- publishing


@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=300))
def test_what_is_published_is_what_is_there(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a" / "b.bin"
        publish_bytes(path, data)
        assert path.read_bytes() == data
        assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_of_its_own_leaves_the_old_file(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise KeyError("mine")

    publish_bytes(tmp_path / "a", b"old")
    with pytest.raises(KeyError, match="mine"):
        publish(tmp_path / "a", write)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"old")]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "a", b"old")
    with (tmp_path / "a").open("rb") as stream:
        publish_bytes(tmp_path / "a", b"new")
        assert stream.read() == b"old"


def test_a_file_where_a_folder_is_to_be_is_told_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write .*file/x/a: .*name another place") as caught:
        publish_bytes(tmp_path / "file" / "x" / "a", b"")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*a: Is a directory"):
        publish_bytes(tmp_path / "a", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


RECORDS = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text() | st.floats(-9, 9)
)


@settings(max_examples=30, deadline=None)
@given(record=RECORDS)
def test_a_record_comes_back_from_its_json(record: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        publish_json(Path(folder) / "a.json", _utf8(record))
        assert json.loads((Path(folder) / "a.json").read_bytes()) == _utf8(record)


def _utf8(record: dict[str, object]) -> dict[str, object]:
    """The texts of a record without surrogates, which no file can hold."""
    return {
        k.encode("utf-8", "replace").decode(): v.encode("utf-8", "replace").decode()
        if isinstance(v, str) else v
        for k, v in record.items()
    }  # fmt: skip


def test_json_is_for_people_too(tmp_path: Path) -> None:
    publish_json(tmp_path / "a.json", {"größe": 1, "b": [2]})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n "größe": 1,\n "b": [\n  2\n ]\n}\n'


# ---- removing


def test_a_file_that_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove(tmp_path / "gone")
    (tmp_path / "here").touch()
    remove(tmp_path / "here")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"cannot remove .*folder: Is a directory"):
        remove(tmp_path / "folder")


def test_every_temporary_is_removed_where_no_name_is_given(tmp_path: Path) -> None:
    for name in (".tmp-a-x", ".tmp-[b]-x", ".tmp", "a.tmp-", "kept"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {".tmp", "a.tmp-", "kept"}


def test_a_name_with_signs_of_a_pattern_is_meant_as_it_stands(tmp_path: Path) -> None:
    for name in (".tmp-[a]*-x", ".tmp-a-x"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, "[a]*")
    assert [p.name for p in tmp_path.iterdir()] == [".tmp-a-x"]


# ---- room, permissions, locks


def test_room_is_that_of_the_disk_wherever_the_path_will_lie(tmp_path: Path) -> None:
    here, later = free_bytes(tmp_path), free_bytes(tmp_path / "not" / "yet")
    total = shutil.disk_usage(tmp_path).total
    assert 0 <= here <= total
    assert 0 <= later <= total


def test_a_relative_path_is_looked_for_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    check_writable(Path("below/here"), "--out")
    with pytest.raises(UsageError, match="--out file/x cannot be written to"):
        check_writable(Path("file/x"), "--out")


def test_a_link_that_leads_nowhere_is_a_place_to_make(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    check_writable(tmp_path / "link" / "x", "--out")


def test_an_error_without_a_known_remedy_has_none() -> None:
    told = str(atomic.disk_error("read", Path("a"), OSError(5, "Input/output error")))
    assert told == "cannot read a: Input/output error"


def test_an_error_without_a_number_is_told_by_its_text() -> None:
    assert str(atomic.disk_error("read", Path("a"), OSError("odd"))) == "cannot read a: odd"


def test_the_name_of_a_holder_replaces_a_longer_one(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1234567890")
    with locked(tmp_path / "lock", 7, "works"):
        assert (tmp_path / "lock").read_text() == "7"


def test_a_lock_is_free_after_a_fault_in_its_block(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock", 1, "works"):
        raise KeyError
    with locked(tmp_path / "lock", 2, "works", patience=0):
        pass


def test_locks_of_two_files_do_not_meet(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "a", 1, "works", patience=0),
        locked(tmp_path / "b", 2, "works", patience=0),
    ):
        assert (tmp_path / "a").read_text() + (tmp_path / "b").read_text() == "12"


def test_a_lock_says_what_its_holder_does_and_where(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", 4711, "works"),
        pytest.raises(UsageError) as caught,
        locked(tmp_path / "lock", 1, "is writing the ledger", patience=0),
    ):
        pass
    expected = "another run, process 4711, is writing the ledger now: wait for it, or stop it"
    assert str(caught.value) == f"{expected} ({tmp_path / 'lock'})"


def test_a_lock_below_a_file_is_refused_by_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="cannot write .*name another place"),
        locked(tmp_path / "file" / "x" / "lock", 1, "works"),
    ):
        pass


# ---- hashes


@settings(deadline=None, max_examples=40)
@given(data=st.binary(max_size=300))
def test_a_file_has_the_hash_of_its_bytes(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(data)
        stream.flush()
        assert sha256_file(Path(stream.name)) == sha256_bytes(data)
    assert sha256_bytes(data) == hashlib.sha256(data).hexdigest()


@settings(deadline=None, max_examples=40)
@given(record=st.dictionaries(st.text(), st.integers()))
def test_the_order_of_fields_does_not_change_the_hash(record: dict[str, int]) -> None:
    turned = dict(reversed(record.items()))
    assert sha256_json(turned) == sha256_json(record)


def test_the_order_of_a_list_changes_the_hash() -> None:
    assert sha256_json([1, 2]) != sha256_json([2, 1])


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, "1"), (1, 1.0), (0, False), (None, "null"), ([], {}), ("é", "e\u0301"), ([1, 2], [12])],
)
def test_values_that_differ_in_kind_only_have_other_hashes(one: object, other: object) -> None:
    assert sha256_json(one) != sha256_json(other)


def test_canonical_json_is_that_of_anyone_who_follows_the_rule() -> None:
    data = '{"a":[1,null],"größe":1.5}'.encode()
    assert sha256_json({"größe": 1.5, "a": (1, None)}) == hashlib.sha256(data).hexdigest()


def test_a_name_that_is_not_utf8_is_hashed_as_its_bytes() -> None:
    assert sha256_json("\udce9") == hashlib.sha256(b'"\xe9"').hexdigest()


def test_a_file_where_the_folder_is_to_be_is_told_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="a file stands where a folder is to be"):
        atomic.publish_bytes(tmp_path / "file" / "a", b"")


def test_the_hash_of_what_was_streamed_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "part"
    found = atomic.publish_hashed(path, lambda file: file.writelines([b"ab", b"c"]))
    assert found == hashlib.sha256(b"abc").hexdigest() == atomic.sha256_file(path)
