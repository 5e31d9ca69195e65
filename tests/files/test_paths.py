"""Names that can be written down, names of files, and which texts are files."""

import os
from pathlib import Path

import pytest

from ensemble.cli.options import classes_of, named_files
from ensemble.errors import UsageError
from ensemble.files.paths import check_utf8, expand, is_file_name, split_named
from ensemble.voting.weights import Weights, from_text

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


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose name holds an equals sign, as sweeps make them."""
    monkeypatch.chdir(tmp_path)
    Path("lr=0.1").mkdir()
    Path("lr=0.1/weights.json").write_text('{"weights": {"ant": 1}}')


@pytest.mark.usefixtures("sweep")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=0.1/weights.json", ("", "lr=0.1/weights.json")),
        ("ant=lr=0.1/weights.json", ("ant", "lr=0.1/weights.json")),
        ("ant=missing.csv", ("ant", "missing.csv")),
        ("missing.csv", ("", "missing.csv")),
    ],
)
def test_a_file_is_a_file_and_else_the_first_equals_sign_splits(
    text: str, expected: tuple[str, str]
) -> None:
    assert split_named(text) == expected
    assert named_files([text]) == [(expected[0] or None, Path(expected[1]))]


@pytest.mark.usefixtures("sweep")
def test_a_weights_file_may_lie_in_a_folder_with_an_equals_sign() -> None:
    assert from_text("lr=0.1/weights.json") == Weights({"ant": 1.0})


def test_a_thousand_classes_are_too_long_for_a_file_and_still_classes() -> None:
    names = tuple(f"class{number}" for number in range(1000))
    assert classes_of(",".join(names)) == names
    assert split_named("label=" + ",".join(names))[0] == "label"
