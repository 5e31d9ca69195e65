"""Which names are images, which ids are made of them, and that ids are unique."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from ensemble.errors import UsageError
from ensemble.images.names import check_ids, id_of, unwanted, unwanted_below


@dataclass(frozen=True)
class Image:
    """An image that was found."""

    id: str
    path: str


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.jpg", ""),
        ("a.b.PNG", ""),
        (".a.jpg", "hidden"),
        ("Thumbs.db", "system file"),
        ("a.txt", "other extension"),
        ("jpg", "other extension"),
        ("a.npy", "array (name it, or by a pattern such as *.npy)"),
        ("a.tar", "archive (name it, or by a pattern such as *.tar)"),
        ("a.tar.gz", "archive (name it, or by a pattern such as *.tar)"),
        ("a.parquet", "archive (name it, or by a pattern such as *.tar)"),
    ],
)
def test_a_name_tells_whether_it_is_an_image(name: str, reason: str) -> None:
    assert unwanted(name) == reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sub/a.jpg", ""),
        ("train.v1/a.jpg", ""),
        ("x.tar/a.jpg", ""),
        (".git/a.jpg", "hidden"),
        ("__MACOSX/a.jpg", "system file"),
        ("b.jpg/a.jpg", "folder named like an image"),
        ("sub/a.txt", "other extension"),
    ],
)
def test_a_name_in_a_tree_is_as_in_a_folder(name: str, reason: str) -> None:
    assert unwanted_below(PurePosixPath(name).parts) == reason


def test_an_id_is_the_stem_the_name_or_the_path() -> None:
    name = PurePosixPath("train.v1/0001.b.jpg")
    assert [id_of(name, "stem"), id_of(name, "name"), id_of(name, "path")] == [
        "0001.b", "0001.b.jpg", "train.v1/0001.b.jpg",
    ]  # fmt: skip


def test_ids_that_are_unique_pass() -> None:
    check_ids([Image("a", "x"), Image("A", "y")])


def test_an_id_given_twice_names_both_places() -> None:
    with pytest.raises(UsageError, match=r"'a': one\.tar!a\.jpg and two\.tar!a\.jpg"):
        check_ids([Image("a", "one.tar!a.jpg"), Image("a", "two.tar!a.jpg")])


def test_ids_of_two_unicode_forms_are_refused() -> None:
    with pytest.raises(UsageError, match="Unicode form"):
        check_ids([Image("\u00e9", "x"), Image("e\u0301", "y")])


def test_a_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        check_ids([Image("\udce9", "x")])
