"""Names that can be written down, and names of files."""

import os
from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.paths import check_utf8, expand, is_file_name

LATIN = os.fsdecode(b"gr\xfc\xdfe")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "a\\b", "C:a", "a\0b", "a\nb", "a*", LATIN, "ü" * 101]
)
def test_what_is_no_file_name_is_told(name: str) -> None:
    assert not is_file_name(name)


@pytest.mark.parametrize("name", ["a", "a b.c", "grüße", "a" * 200])
def test_a_file_name_is_told(name: str) -> None:
    assert is_file_name(name)


def test_a_name_that_is_not_utf8_is_named_in_ascii() -> None:
    with pytest.raises(UsageError, match=r"--out 'gr\\udcfc\\udcdfe' is not UTF-8"):
        check_utf8(LATIN, "--out")


@pytest.mark.parametrize("name", ["", "grüße", "a\nb"])
def test_any_other_name_can_be_written_down(name: str) -> None:
    check_utf8(name, "--out")


def test_a_file_that_is_found_in_a_folder_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / LATIN).mkdir()
    (tmp_path / LATIN / "a.onnx").touch()
    with pytest.raises(UsageError, match="is not UTF-8"):
        expand([f"{tmp_path}/*/a.onnx"], ".onnx", "member")
