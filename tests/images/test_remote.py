"""Which images a prefix has: those that a folder of the same files would have."""

import pytest
from buckets import BUCKET, Server, put
from packed import to_parquet, to_tar, to_zip

from ensemble.errors import ImageError, UsageError
from ensemble.files import remote
from ensemble.images.reading import hash_sources, read
from ensemble.images.remote import found_remotely
from ensemble.images.sources import scan

NAMES = ("a.jpg", "sub/b.PNG", "sub/._c.jpg", "d.txt", "e.tar", "f.npy", "g.jpg/h.jpg")


def ids(given: str, **asked: str) -> list[str]:
    return [s.id for s in scan([given], **asked).images]  # type: ignore[arg-type]


@pytest.fixture
def prefix(bucket: Server) -> str:
    for name in NAMES:
        put(bucket, f"pre/{name}", name.encode())
    return f"s3://{BUCKET}/pre"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_prefix_is_a_folder(prefix: str, slash: str) -> None:
    found = scan([prefix + slash], "path")
    assert [s.id for s in found.images] == ["a.jpg", "sub/b.PNG"]
    assert found.skipped == {
        "hidden": 1, "other extension": 1, "folder named like an image": 1,
        "archive (name it, or by a pattern such as *.tar)": 1,
        "array (name it, or by a pattern such as *.npy)": 1,
    }  # fmt: skip


def test_an_object_is_an_image(prefix: str) -> None:
    assert ids(f"{prefix}/a.jpg", id_from="path") == ["a.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"), [("*.jpg", ["a"]), ("**/*.PNG", ["b"]), ("sub/*", ["b"])]
)
def test_a_pattern_is_one_of_a_folder(prefix: str, pattern: str, expected: list[str]) -> None:
    assert ids(f"{prefix}/{pattern}") == expected


def test_arrays_are_taken_by_a_pattern_of_theirs(prefix: str) -> None:
    assert [found.reason for found in found_remotely(f"{prefix}/*.npy")] == [""]


@pytest.mark.parametrize("kind", ["tar", "zip", "parquet"])
def test_archives_are_read_where_they_are(bucket: Server, tmp_path: object, kind: str) -> None:
    files = {f"{n}.png": bytes([n]) * 3000 for n in range(9)}
    write = {"tar": to_tar, "zip": to_zip, "parquet": to_parquet}[kind]
    data = write(tmp_path / f"a.{kind}", files).read_bytes()  # type: ignore[operator]
    uri = put(bucket, f"sets/a.{kind}", data)
    for given in (uri, f"s3://{BUCKET}/sets/*.{kind}"):
        hashed = hash_sources(scan([given], "name").images, threads=3)
        assert {each.source.id: read(each) for each in hashed} == files
    assert len(bucket.gets()) < 12


def test_an_archive_that_was_replaced_gives_no_bytes_of_another_image(
    bucket: Server, tmp_path: object
) -> None:
    files = {f"{n}.png": bytes([n]) * 3000 for n in range(9)}
    path = to_tar(tmp_path / "a.tar", files)  # type: ignore[operator]
    found = scan([put(bucket, "a.tar", path.read_bytes())]).images
    put(bucket, "a.tar", to_tar(path, dict(reversed(files.items()))).read_bytes())
    remote._blocks.cache_clear()  # which holds the one that was listed
    (first, *_) = hash_sources(found, threads=1)
    assert first.sha256 == ""
    with pytest.raises(ImageError, match="changed since it was listed"):
        read(first)


def test_an_object_replaced_after_it_was_hashed_is_changed(bucket: Server) -> None:
    (hashed,) = hash_sources(scan([put(bucket, "a.png", b"x")]).images, threads=1)
    put(bucket, "a.png", b"other")
    with pytest.raises(ImageError, match="changed since") as caught:
        read(hashed)
    assert (caught.value.stage, caught.value.kind) == ("read", "changed")


@pytest.mark.parametrize("status", [403, 404])
def test_an_object_that_is_refused_or_gone_is_unreadable(bucket: Server, status: int) -> None:
    (hashed,) = hash_sources(scan([put(bucket, "a.png", b"x")]).images, threads=1)
    bucket.fail("a.png", status)
    with pytest.raises(ImageError, match=f"cannot read the file: .*{status}") as caught:
        read(hashed)
    assert (caught.value.stage, caught.value.kind) == ("read", "unreadable")


def test_nothing_there_is_refused(bucket: Server) -> None:
    with pytest.raises(UsageError, match="nothing is there"):
        scan([f"s3://{BUCKET}/none"])


def test_http_is_refused(bucket: Server) -> None:
    with pytest.raises(UsageError, match="is a URL"):
        scan([f"{bucket.url}/a.jpg"])
