"""Names of classes, as they are given."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.files.classes import classes_of


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_classes_are_a_list_or_a_file_with_a_class_a_line() -> None:
    Path("classes.txt").write_text("\ufeffcat\n\n dog \n", "utf-8")
    assert classes_of("cat, dog") == classes_of("classes.txt") == ("cat", "dog")


def test_a_thousand_classes_are_too_long_for_a_file_and_still_classes() -> None:
    names = tuple(f"class{number}" for number in range(1000))
    assert classes_of(",".join(names)) == names


@pytest.mark.parametrize("name", ["classes.txt", "lists/classes"])
def test_a_file_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"--classes {name}: no such file"):
        classes_of(name)


@pytest.mark.parametrize(("name", "text"), [("c.csv", "0,cat\n1,dog\n"), ("c.json", "[]")])
def test_a_table_is_no_list_of_classes(name: str, text: str) -> None:
    Path(name).write_text(text)
    with pytest.raises(UsageError, match="expected a class a line"):
        classes_of(name)


def test_names_may_have_commas_and_begin_with_numbers() -> None:
    Path("c.txt").write_text("3 apples, red\npears\n")
    assert classes_of("c.txt") == ("3 apples, red", "pears")
