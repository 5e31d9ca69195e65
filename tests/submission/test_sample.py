"""The sample and the submission: ids byte for byte, order, columns."""

from pathlib import Path

import pytest
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.files.csv_tables import formula_like
from ensemble.submission.forms import Wanted
from ensemble.submission.sample import (
    check_output,
    read_sample,
)


def write(path: Path, text: str | bytes) -> Path:
    """Write a table as it stands."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_bom_and_crlf_are_accepted(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", b"\xef\xbb\xbfid,label\r\na,cat\r\nb,cat\r\n")
    sample = read_sample(path, CLASSES)
    assert (sample.id_column, sample.ids) == ("id", ("a", "b"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("id,label\n", "no rows"),
        ("id;label\na;cat\n", "line 1.*commas"),
        ("id,label,label\na,b,c\n", "line 1.*'label'"),
        ("id,label\na,cat\na,dog\n", "line 3.*'a'"),
        ("id,label\na,cat\nb\n", "line 3"),
        ("id,label\n,cat\n", "line 2.*empty"),
        ("id,cat,dog\na,0,0\n", "no column for eel$"),
        ("id,cat,dog,eel,fox\na,0,0,0,0\n", "class; no class for fox$"),
        ("id,label\na,3\n", "--labels-as"),
    ],
)
def test_a_sample_that_is_wrong_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_sample(write(tmp_path / "s.csv", text), CLASSES)


def test_a_sample_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        read_sample(write(tmp_path / "s.csv", b"id,label\n\xff\xfe,cat\n"), CLASSES)


def test_names_where_the_classes_are_integers_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,label\na,cat\n")
    with pytest.raises(UsageError, match="--labels-as"):
        read_sample(path, ("0", "1"))


@pytest.mark.parametrize(("text", "output"), [
    ("id,label\na,cat\n", "probs"), ("id,cat,dog,eel\na,0,0,0\n", "labels"),
])  # fmt: skip
def test_an_output_that_the_sample_does_not_ask_for_is_refused(
    tmp_path: Path, text: str, output: str
) -> None:
    path = write(tmp_path / "s.csv", text)
    sample = read_sample(path, CLASSES)
    with pytest.raises(UsageError, match=f"--output {output}.*s.csv"):
        check_output(path, sample, output)


@pytest.mark.parametrize("output", ["auto", "labels"])
def test_an_output_that_the_sample_asks_for_is_taken(tmp_path: Path, output: str) -> None:
    path = write(tmp_path / "s.csv", "id,label\na,cat\n")
    check_output(path, read_sample(path, CLASSES), output)


def test_ids_that_a_spreadsheet_would_run_are_found() -> None:
    assert formula_like(["=1+1", "a", "-b", "@c", "+d"]) == ["=1+1", "-b", "@c", "+d"]


def test_one_column_of_two_classes_is_not_a_label(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("id,dog\na,0\n")
    sample = read_sample(path, ("cat", "dog"))
    assert (sample.kind, sample.classes) == ("probs", ("dog",))


def test_fractions_in_one_column_are_not_labels(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("id,target\na,0.5\n")
    with pytest.raises(UsageError, match=r"'0\.5'.*a column for each class"):
        read_sample(path, CLASSES)
    with pytest.raises(UsageError, match="probability of one of cat, dog: say which by --positive"):
        read_sample(path, ("cat", "dog"))


# ---- forms


def test_whole_numbers_of_a_regression_are_not_guessed_at(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,grade\na,3\nb,0\n")
    with pytest.raises(UsageError, match="whole numbers, such as 3.*--round nearest"):
        read_sample(path, ("grade",), wanted=Wanted("regression"))
    zeros = write(tmp_path / "z.csv", "id,grade\na,0\nb,0\n")
    with pytest.raises(UsageError, match="--round nearest"):
        read_sample(zeros, ("grade",), wanted=Wanted("regression"))
    decimal = write(tmp_path / "t.csv", "id,grade\na,3\nb,0.5\n")
    assert read_sample(decimal, ("grade",), wanted=Wanted("regression")).rounding == "off"


def test_zeros_under_several_targets_hold_the_place_of_values(tmp_path: Path) -> None:
    names, wanted = ("x", "y"), Wanted("regression")
    zeros = write(tmp_path / "s.csv", "id,x,y\na,0,0\nb,0,0\n")
    assert read_sample(zeros, names, wanted=wanted).rounding == "off"
    counts = write(tmp_path / "t.csv", "id,x,y\na,0,2\nb,0,0\n")
    with pytest.raises(UsageError, match="whole numbers"):
        read_sample(counts, names, wanted=wanted)
