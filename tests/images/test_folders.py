"""What folders and patterns name."""

from pathlib import Path

import pytest
from toys import tree

from ensemble.errors import UsageError
from ensemble.images.folders import found_below, walk


def test_names_are_relative_where_ids_need_it(tmp_path: Path) -> None:
    tree(tmp_path, "sub/a.jpg")
    for given in (tmp_path, tmp_path / "**" / "*.jpg"):
        (relative,), (whole,) = (
            found_below(given, relative=True),
            found_below(given, relative=False),
        )
        assert str(relative.name) == "sub/a.jpg"
        assert whole.name == whole.location == tmp_path / "sub" / "a.jpg"


def test_archives_of_a_folder_are_skipped_and_those_of_a_pattern_are_not(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.tar", "c.zip", "d.parquet", "e.tgz")
    told = {found.name.name: found.reason for found in found_below(tmp_path, relative=True)}
    assert {name for name, reason in told.items() if "by a pattern" in reason} == {
        "b.tar", "c.zip", "d.parquet", "e.tgz",
    }  # fmt: skip
    (named,) = found_below(tmp_path / "*.tar", relative=True)
    assert (named.name.name, named.reason) == ("b.tar", "")


def test_a_folder_that_is_called_as_an_archive_is_looked_into(tmp_path: Path) -> None:
    tree(tmp_path, "x.tar/a.jpg")
    assert [path.name for path, reason in walk(tmp_path) if not reason] == ["a.jpg"]


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        list(found_below(tmp_path / "none", relative=True))
