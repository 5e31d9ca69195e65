"""Objects of a store: what was listed is what is read, or it is said why not."""

import pickle
import random
from functools import partial

import pytest
from buckets import BUCKET, Server, put

from ensemble.errors import ImageError, UsageError
from ensemble.files import remote
from ensemble.files.remote import RemoteFile, pinned
from ensemble.files.remote_listing import remote_files

DATA = random.Random(1).randbytes(100_000)


def only(uri: str) -> RemoteFile:
    (file,) = remote_files(uri)
    return file


def test_an_object_is_read_whole_and_by_pieces(bucket: Server) -> None:
    file = pinned(only(put(bucket, "a.tar", DATA)))
    assert (file.size, file.read_bytes(), file.suffix) == (len(DATA), DATA, ".tar")
    assert file.read_at(500, 70_000) == DATA[500:70_500]
    assert file.read_at(99_990, 50) == DATA[99_990:]
    with file.open() as stream:
        stream.seek(7)
        assert stream.read(9) == DATA[7:16]


def test_pieces_across_blocks_are_whole(bucket: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_BLOCK", 1000)
    file = pinned(only(put(bucket, "a.tar", DATA[:5500])))
    for offset, size in ((0, 10), (999, 2), (500, 900), (5400, 300), (0, 5500), (1000, 1000)):
        assert file.read_at(offset, size) == DATA[:5500][offset : offset + size]


def test_pieces_of_a_block_are_one_request(bucket: Server) -> None:
    file = pinned(only(put(bucket, "a.tar", DATA)))
    bucket.requests.clear()
    for offset in range(0, 90_000, 1000):
        assert file.read_at(offset, 1000) == DATA[offset : offset + 1000]
    assert len(bucket.gets()) == 1


@pytest.mark.parametrize("data", [b"y", b"longer"])
def test_an_object_that_was_replaced_is_changed(bucket: Server, data: bytes) -> None:
    uri = put(bucket, "a.jpg", b"x")
    listed, file = only(uri), pinned(only(uri))
    put(bucket, "a.jpg", data)
    for old in (file, listed) if len(data) > 1 else (file,):
        for read in (old.read_bytes, partial(old.read_at, 0, 1), old.check):
            with pytest.raises(ImageError, match="changed since it was listed") as caught:
                read()
            assert (caught.value.stage, caught.value.kind) == ("read", "changed")


def test_an_object_written_again_at_another_time_is_changed(bucket: Server) -> None:
    listed = only(put(bucket, "a.jpg", b"x"))
    earlier = RemoteFile(listed.uri, listed.size, listed.mtime_ns - 5 * 10**9)
    with pytest.raises(ImageError, match="changed since it was listed"):
        earlier.read_bytes()


@pytest.mark.parametrize(
    ("status", "told"), [(403, "access denied \\(403\\)"), (404, "nothing is there \\(404\\)")]
)
def test_what_is_refused_or_gone_is_an_error_at_once(
    bucket: Server, status: int, told: str
) -> None:
    file = only(put(bucket, "a.jpg", b"x"))
    bucket.fail("a.jpg", status)
    bucket.requests.clear()
    with pytest.raises(OSError, match=told):
        file.read_bytes()
    assert len(bucket.requests) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_for_a_moment_is_asked_again(bucket: Server, status: int) -> None:
    file = only(put(bucket, "a.jpg", b"x"))
    bucket.fail("a.jpg", status, times=2)
    assert file.read_bytes() == b"x"


def test_a_server_that_is_too_slow_once_is_asked_again(
    bucket: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_REQUEST", 1.0)
    remote._connected.cache_clear()
    file = only(put(bucket, "a.jpg", b"x"))
    bucket.requests.clear()
    bucket.pauses.append(3.0)
    assert file.read_bytes() == b"x"
    assert len(bucket.gets()) == 2


def test_a_server_that_goes_on_failing_is_told_of(
    bucket: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_ATTEMPTS", 2)
    remote._connected.cache_clear()
    file = only(put(bucket, "a.jpg", b"x"))
    bucket.fail("a.jpg", 503)
    with pytest.raises(OSError, match="the server is busy or fails"):
        file.read_bytes()


def test_without_credentials_the_message_says_so(
    bucket: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    put(bucket, "a.jpg", b"x")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    remote._connected.cache_clear()
    bucket.fail(BUCKET, 403)
    with pytest.raises(UsageError, match="access denied .403.; no credentials were found: export"):
        remote_files(f"s3://{BUCKET}/pre")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://nowhere/pre", "no such bucket"),
        (f"s3://{BUCKET}/none", "nothing is there"),
        ("s3://", "expected s3://bucket/folder"),
        ("s3://key:secret@photos/a", "s3://…: expected s3://bucket/folder, without credentials"),
        ("s3://KEY:se/secret@photos/a", "s3://…: expected s3://bucket/folder, without credent"),
        ("https://x/a", "expected s3:// or gs://"),
    ],
)
def test_an_address_of_nothing_is_refused(bucket: Server, uri: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        remote_files(uri)
    assert "secret" not in str(caught.value)


def test_no_server_is_told_of(bucket: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(remote, "_ATTEMPTS", 1)
    remote._connected.cache_clear()
    with pytest.raises(UsageError, match="no answer from the server"):
        remote_files(f"s3://{BUCKET}/pre")


def test_a_file_goes_to_another_process(bucket: Server) -> None:
    file = pinned(only(put(bucket, "a.jpg", b"x")))
    again = pickle.loads(pickle.dumps(file))
    assert (again, hash(again), str(again)) == (file, hash(file), f"s3://{BUCKET}/a.jpg")
    assert again.read_bytes() == b"x"
