"""The sample and the submission: ids byte for byte, order, columns."""

from pathlib import Path

import numpy as np
import pytest
from toys import CLASSES

from ensemble.errors import ContractError, UsageError
from ensemble.files.csv_tables import formula_like
from ensemble.submission.forms import Wanted
from ensemble.submission.sample import (
    Row,
    Sample,
    check_ids_match,
    check_output,
    plain_sample,
    read_sample,
    render,
)

ODD_IDS = ("007", "NA", "null", "1e5", " 8 ", "nan", "é", "a,b", 'q"q')


def write(path: Path, text: str | bytes) -> Path:
    """Write a table as it stands."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_odd_ids_come_out_byte_for_byte(tmp_path: Path) -> None:
    sample = plain_sample(ODD_IDS, CLASSES, "labels", "auto")
    rows = {i: Row("dog", ()) for i in ODD_IDS}
    path = write(tmp_path / "sample.csv", render(sample, rows, CLASSES))
    assert read_sample(path, CLASSES).ids == ODD_IDS


def test_rows_follow_the_order_of_the_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "image,target\nb,cat\na,cat\n")
    rows = {"a": Row("dog", ()), "b": Row("eel", ())}
    text = render(read_sample(path, CLASSES), rows, CLASSES)
    assert text == b"image,target\nb,eel\na,dog\n"


def test_probability_columns_are_mapped_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,eel,cat,dog\na,0,0,0\n")
    text = render(read_sample(path, CLASSES), {"a": Row("", (0.5, 0.3, 0.2))}, CLASSES)
    assert text == b"id,eel,cat,dog\na,0.2,0.5,0.3\n"


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


def test_labels_as_index_writes_class_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,label\na,0\n")
    sample = read_sample(path, CLASSES, "index")
    assert render(sample, {"a": Row("eel", ())}, CLASSES) == b"id,label\na,2\n"


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


def test_ids_that_differ_are_listed_both_ways() -> None:
    sample = Sample("id", ("a", "b"), "label", ("label",), False)
    told = (
        r"differ: 1 ids of the sample have no image \(a\); 1 images are not in the sample \(c\)\."
    )
    with pytest.raises(ContractError, match=told):
        check_ids_match(sample, ["b", "c"])


def test_ids_that_lack_on_one_side_are_told_of_that_side_alone() -> None:
    sample = Sample("id", ("a", "b"), "label", ("label",), False)
    with pytest.raises(ContractError, match=r"differ: 1 images are not in the sample \(c\)\."):
        check_ids_match(sample, ["a", "b", "c"])


def test_a_missing_row_is_never_published() -> None:
    sample = Sample("id", ("a", "b"), "label", ("label",), False)
    with pytest.raises(ContractError, match="missing"):
        render(sample, {"a": Row("cat", ())}, CLASSES)


def test_a_row_too_many_is_never_published() -> None:
    sample = Sample("id", ("a",), "label", ("label",), False)
    with pytest.raises(ContractError, match="2 have a prediction"):
        render(sample, {"a": Row("cat", ()), "b": Row("cat", ())}, CLASSES)


def test_a_probability_that_is_not_finite_is_never_published() -> None:
    sample = Sample("id", ("a",), "probs", CLASSES, False)
    with pytest.raises(ContractError, match="nan"):
        render(sample, {"a": Row("", (np.nan, 0, 1))}, CLASSES)


def test_every_float32_survives_the_text() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 30_000, np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    sample = plain_sample(["a"], [str(n) for n in range(len(values))], "probs", "auto")
    text = render(sample, {"a": Row("", values.tolist())}, sample.columns).decode()
    written = np.array(text.splitlines()[1].split(",")[1:], np.float64)
    np.testing.assert_array_equal(written.astype(np.float32), values)


def test_small_probabilities_do_not_become_ties() -> None:
    sample = plain_sample(["a"], CLASSES, "probs", "auto")
    text = render(sample, {"a": Row("", (1e-12, 2e-12, 1 - 3e-12))}, CLASSES)
    assert text == b"id,cat,dog,eel\na,1e-12,2e-12,1\n"


def test_ids_that_a_spreadsheet_would_run_are_found() -> None:
    assert formula_like(["=1+1", "a", "-b", "@c", "+d"]) == ["=1+1", "-b", "@c", "+d"]


def test_one_column_of_two_classes_is_not_a_label(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("id,dog\na,0\n")
    sample = read_sample(path, ("cat", "dog"))
    assert (sample.kind, sample.classes) == ("probs", ("dog",))
    text = render(sample, {"a": Row("", (0.25, 0.75))}, ("cat", "dog"))
    assert text == b"id,dog\na,0.75\n"


def test_fractions_in_one_column_are_not_labels(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("id,target\na,0.5\n")
    with pytest.raises(UsageError, match=r"'0\.5'.*a column for each class"):
        read_sample(path, CLASSES)
    with pytest.raises(UsageError, match="probability of one of cat, dog: say which by --positive"):
        read_sample(path, ("cat", "dog"))


@pytest.mark.parametrize(
    ("wanted", "found", "hint"),
    [("25", "025", "Leading zeros"), ("a.jpg", "a", "--id-from name"), ("x", "y", "--id-from")],
)
def test_ids_that_differ_come_with_a_guess(wanted: str, found: str, hint: str) -> None:
    with pytest.raises(ContractError, match=hint):
        check_ids_match(plain_sample([wanted], ("cat", "dog"), "labels", "auto"), [found])


# ---- forms


def test_the_id_may_stand_anywhere_and_stays_there(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "target,image,\ncat,b,\n".replace(",\n", "\n"))
    sample = read_sample(path, CLASSES, known=("b",))
    assert (sample.id_column, sample.ids, sample.columns) == ("image", ("b",), ("target",))
    assert render(sample, {"b": Row("eel", ())}, CLASSES) == b"target,image\neel,b\n"


def test_several_labels_a_cell_are_written_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "image,labels\na,cat dog\n")
    sample = read_sample(path, CLASSES)
    assert (sample.kind, sample.top) == ("top", 2)
    row = Row("eel", (), ("eel", "cat"))
    assert render(sample, {"a": row}, CLASSES) == b"image,labels\na,eel cat\n"
    numbered = read_sample(path, CLASSES, "index")
    assert render(numbered, {"a": row}, CLASSES) == b"image,labels\na,2 0\n"


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [("nearest", ["-1", "0", "2", "2", "4"]), ("0.5,1.5,2.5", ["0", "0", "2", "2", "3"]),
     ("off", ["-0.8", "0.4", "1.5", "2.49", "3.7"])],
)  # fmt: skip
def test_values_are_written_whole_where_that_is_asked_for(
    tmp_path: Path, rounding: str, expected: list[str]
) -> None:
    names, values = "abcde", (-0.8, 0.4, 1.5, 2.49, 3.7)
    path = write(tmp_path / "s.csv", "id,grade\n" + "".join(f"{n},0\n" for n in names))
    sample = read_sample(path, ("age",), wanted=Wanted("regression", rounding=rounding))
    rows = {n: Row("", (v,)) for n, v in zip(names, values, strict=True)}
    text = render(sample, rows, ("age",)).decode().splitlines()[1:]
    assert [line.split(",")[1] for line in text] == expected


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
