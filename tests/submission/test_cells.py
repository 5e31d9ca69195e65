"""What is written: a row an id, in the order and the columns of the sample."""

from pathlib import Path

import numpy as np
import pytest
from rows import Row, render
from toys import CLASSES

from ensemble.errors import ContractError
from ensemble.members.card import Head
from ensemble.submission.cells import fill_row
from ensemble.submission.forms import Wanted
from ensemble.submission.reading import read_sample
from ensemble.submission.sample import Sample, plain_sample
from ensemble.submission.tasks import TaskForm

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


def test_labels_as_index_writes_class_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,label\na,0\n")
    sample = read_sample(path, CLASSES, "index")
    assert render(sample, {"a": Row("eel", ())}, CLASSES) == b"id,label\na,2\n"


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


def test_the_id_may_stand_anywhere_and_stays_there(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "target,image,\ncat,b,\n".replace(",\n", "\n"))
    sample = read_sample(path, CLASSES, known=("b",))
    assert (sample.id_column, sample.ids, sample.columns) == ("image", ("b",), ("target",))
    assert render(sample, {"b": Row("eel", ())}, CLASSES) == b"target,image\neel,b\n"


def test_one_column_of_two_classes_has_the_probability_of_its_class(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,dog\na,0\n")
    sample = read_sample(path, ("cat", "dog"))
    text = render(sample, {"a": Row("", (0.25, 0.75))}, ("cat", "dog"))
    assert text == b"id,dog\na,0.75\n"


# ---- forms of several rows or columns


def written(
    path: Path, rows: dict[str, Row], known: tuple[str, ...] = ("a", "b"), **said: object
) -> str:
    """What is written into a sample that lies there."""
    wanted = Wanted(**said)  # type: ignore[arg-type]
    sample = read_sample(path, CLASSES, known=known, wanted=wanted)
    return render(sample, rows, CLASSES).decode()


PROBS = {"a": Row("", (0.5, 0.3, 0.2)), "b": Row("", (0.1, 0.2, 0.7))}


def test_pairs_in_ids_are_filled_in_the_order_of_the_sample(tmp_path: Path) -> None:
    text = "ID,Label\nb_eel,0\na_cat,0\nb_dog,0\nb_cat,0\na_eel,0\na_dog,0\n"
    found = written(write(tmp_path / "s.csv", text), PROBS)
    assert found == "ID,Label\nb_eel,0.7\na_cat,0.5\nb_dog,0.2\nb_cat,0.1\na_eel,0.2\na_dog,0.3\n"


def test_pairs_in_columns_keep_their_other_cells(tmp_path: Path) -> None:
    text = "Usage,value,image,class\nPublic,0,a,dog\nPrivate,0,a,cat\nPublic,0,a,eel\n"
    found = written(write(tmp_path / "s.csv", text), {"a": PROBS["a"]}, ("a",))
    assert found == text.replace("0,a,dog", "0.3,a,dog").replace("0,a,cat", "0.5,a,cat").replace(
        "0,a,eel", "0.2,a,eel"
    )


def test_tasks_are_written_under_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,age,mask\nb,0.5,wear\na,0.5,wear\n")
    rows = {n: Row("", (), tasks={"mask": f"m{n}", "age": f"3{n}"}) for n in "ab"}
    found = written(path, rows, tasks={"mask": ("wear", "none"), "age": ()})
    assert found == "id,age,mask\nb,3b,mb\na,3a,ma\n"


def test_melted_tasks_are_written_a_row_each(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "row_id,target\na_mask,wear\na_age,0.5\n")
    rows = {"a": Row("", (), tasks={"mask": "none", "age": "31"})}
    found = written(path, rows, tasks={"mask": ("wear", "none"), "age": ()})
    assert found == "row_id,target\na_mask,none\na_age,31\n"


def test_a_copied_column_stays_in_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "Usage,id,label,split\np,b,cat,1\nq,a,cat,2\n")
    rows = {"a": Row("dog", ()), "b": Row("eel", ())}
    assert written(path, rows) == "Usage,id,label,split\np,b,eel,1\nq,a,dog,2\n"


def test_what_stands_in_for_tasks_is_a_row_of_them() -> None:
    forms = {"mask": TaskForm(("wear", "none")), "age": TaskForm(())}
    sample = Sample("id", ("a",), "tasks", ("mask", "age"), False, tasks=forms)
    head = Head("label", "logits", "classification", "softmax", CLASSES)
    assert fill_row("mask=none,age=4", sample, head).tasks == [{"mask": "none", "age": "4"}]
