"""What a sample asks for, and that it is what was asked for."""

from pathlib import Path

import pytest
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.submission.melted import Pairs
from ensemble.submission.reading import read_sample
from ensemble.submission.sample import Copied, Sample, check_output, plain_sample


def write(path: Path, text: str) -> Path:
    """Write a table as it stands."""
    path.write_text(text)
    return path


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


@pytest.mark.parametrize(
    ("kind", "form"),
    [("label", "label"), ("probs", "wide"), ("binary", "wide"), ("list", "list"), ("top", "list"),
     ("tasks", "tasks")],
)  # fmt: skip
def test_every_kind_has_its_form(kind: str, form: str) -> None:
    assert Sample("id", ("a",), kind, CLASSES, False).form == form  # type: ignore[arg-type]


def test_rows_of_pairs_are_melted_whatever_they_hold() -> None:
    pairs = Pairs(("id", "value"), (("a", "cat"),), (("a_cat", "0"),), 1, ("cat",))
    found = Sample("id", ("a",), "probs", ("value",), False, pairs=pairs)
    assert (found.form, found.header) == ("melted", ("id", "value"))


def test_the_header_has_the_id_and_what_is_copied_in_their_places() -> None:
    copied = (Copied(0, "Unnamed: 0", ("7",)), Copied(3, "Usage", ("Public",)))
    found = Sample("id", ("a",), "label", ("label",), False, id_place=1, copied=copied)
    assert found.header == ("Unnamed: 0", "label", "id", "Usage")


def test_without_a_sample_ids_come_first() -> None:
    assert plain_sample(("b", "a"), CLASSES, "probs", "auto").header == ("id", *CLASSES)
    assert plain_sample(("b",), CLASSES, "labels", "index").index_labels
