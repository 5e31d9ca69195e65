"""Flags for files from elsewhere: classes as a list or a file, and ids for what holds none."""

from pathlib import Path

import pytest
from toys import ensemble

from ensemble.cli.foreign import classes_of, foreign_hints_of
from ensemble.errors import UsageError
from ensemble.predictions.formats import ForeignHints


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.txt", None, "no such file"),
        ("classes.csv", "0,cat\n1,dog\n", "a class a line"),
        ("classes.json", '{"0": "cat"}', "a class a line"),
    ],
)
def test_a_file_that_lists_no_classes_is_refused(
    name: str, text: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        Path(name).write_text(text)
    assert ensemble("export", "a-f0.pt", "--arch", "resnet18", "--classes", name, "--out", "o") == 2
    assert message in capsys.readouterr().err


def test_classes_are_a_list_or_a_file_with_a_class_a_line() -> None:
    Path("classes.txt").write_text("\ufeffcat\n\n dog \n", "utf-8")
    assert classes_of("cat, dog") == classes_of("classes.txt") == ("cat", "dog")


@pytest.mark.parametrize("text", ["1\n2\n", "red, dark\nred, light\n", "1, or more\nnone\n"])
def test_a_class_may_be_a_number_or_hold_a_comma(text: str) -> None:
    Path("classes.txt").write_text(text)
    assert classes_of("classes.txt") == tuple(text.splitlines())


def test_a_table_of_numbers_and_classes_is_no_list() -> None:
    Path("classes.txt").write_text("cat,a\n1,b\n")
    with pytest.raises(UsageError, match="expected a class a line"):
        classes_of("classes.txt")


def test_a_file_that_is_not_utf8_is_told() -> None:
    Path("classes.txt").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="--classes classes.txt: cannot read the classes"):
        classes_of("classes.txt")


def test_flags_become_hints_and_leave_the_others() -> None:
    flags = {"rows_of": Path("t.csv"), "task": "multilabel", "classes": "a,b", "out": "x"}
    found = foreign_hints_of(flags, [(None, Path("p.npy"))])
    assert found == ForeignHints(Path("t.csv"), ("a", "b"), "multilabel")
    assert flags == {"out": "x"}


def test_rows_for_files_that_hold_their_ids_are_refused() -> None:
    flags = {"rows_of": Path("t.csv"), "task": None, "classes": None}
    with pytest.raises(UsageError, match="--rows-of goes with a .npy"):
        foreign_hints_of(flags, [(None, Path("p.parquet"))])
