"""What an address on a store names."""

import pytest
from buckets import BUCKET, Server, put

from ensemble.errors import UsageError
from ensemble.files.remote_listing import listed_remotely, remote_file, remote_files


@pytest.fixture(autouse=True)
def objects(bucket: Server) -> None:
    for name in ("pre/b.jpg", "pre/a/1 +ü.jpg", "prefix.jpg"):
        put(bucket, name, b"x")


def test_a_prefix_lists_its_objects_and_those_below() -> None:
    assert [file.uri for file in remote_files(f"s3://{BUCKET}/pre/")] == [
        f"s3://{BUCKET}/pre/a/1 +ü.jpg", f"s3://{BUCKET}/pre/b.jpg",
    ]  # fmt: skip
    assert len(remote_files(f"s3://{BUCKET}")) == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("pre", [("a/1 +ü.jpg", False, ""), ("b.jpg", False, "")]),
        ("pre/b.jpg", [("b.jpg", True, "")]),
        ("pre/*.jpg", [("b.jpg", False, "*.jpg")]),
        ("**/1*.jpg", [("pre/a/1 +ü.jpg", False, "1*.jpg")]),
        ("*.png", []),
    ],
)
def test_paths_are_told_from_the_address_on(
    given: str, expected: list[tuple[str, bool, str]]
) -> None:
    found = listed_remotely(f"s3://{BUCKET}/{given}")
    assert [(each.below.as_posix(), each.exact, each.pattern) for each in found] == expected


def test_one_file_is_there_or_not() -> None:
    found = remote_file(f"s3://{BUCKET}/pre/b.jpg")
    assert found is not None
    assert found.size == 1
    assert remote_file(f"s3://{BUCKET}/pre") is None
    assert remote_file(f"s3://{BUCKET}/none") is None


def test_nothing_there_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing is there"):
        remote_files(f"s3://{BUCKET}/none")
