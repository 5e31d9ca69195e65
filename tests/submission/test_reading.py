"""A sample is read by the form that its header and ids tell, or refused."""

from pathlib import Path

import pytest
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.files.csv_tables import formula_like
from ensemble.submission.forms import Wanted
from ensemble.submission.reading import read_sample
from ensemble.submission.sample import Sample


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


# ---- forms of several rows or columns

TASKS = {"mask": ("wear", "none"), "gender": ("f", "m"), "age": ()}


def of(folder: Path, text: str, known: tuple[str, ...] = ("a", "b"), **said: object) -> Sample:
    """What a sample of these images asks for."""
    wanted = Wanted(**said)  # type: ignore[arg-type]
    return read_sample(write(folder / "s.csv", text), CLASSES, known=known, wanted=wanted)


def test_ids_of_image_and_class_are_melted(tmp_path: Path) -> None:
    rows = "".join(f"{i}_{c},0\n" for i in "ab" for c in CLASSES)
    found = of(tmp_path, f"ID,Label\n{rows}")
    assert (found.form, found.kind, found.ids, found.classes) == (
        "melted", "probs", ("a", "b"), CLASSES
    )  # fmt: skip


def test_columns_of_image_and_target_are_melted(tmp_path: Path) -> None:
    found = of(tmp_path, "image,target,value\na,eel,0\na,dog,0\na,cat,0\n")
    assert (found.form, found.ids, found.columns) == ("melted", ("a",), ("value",))


def test_columns_that_are_tasks_are_tasks(tmp_path: Path) -> None:
    found = of(tmp_path, "id,age,mask\na,1.5,wear\n", tasks=TASKS)
    assert (found.form, found.columns, list(found.tasks)) == (
        "tasks",
        ("age", "mask"),
        ["age", "mask"],
    )


def test_one_column_is_a_task_by_its_name_unless_a_class_is_called_so(tmp_path: Path) -> None:
    assert of(tmp_path, "id,mask\na,wear\n", tasks=TASKS).form == "tasks"
    assert of(tmp_path, "id,cat\na,cat\n", tasks={"cat": ("x", "y")}).form == "label"


def test_ids_of_image_and_task_are_melted_tasks(tmp_path: Path) -> None:
    rows = {"mask": "wear", "gender": "m", "age": "0.5"}
    text = "".join(f"{i}_{task},{cell}\n" for i in "ab" for task, cell in rows.items())
    found = of(tmp_path, f"row_id,target\n{text}", tasks=TASKS)
    assert (found.form, found.kind, found.classes) == ("melted", "tasks", tuple(TASKS))


def test_five_labels_a_cell_are_a_list(tmp_path: Path) -> None:
    classes = tuple("abcdef")
    path = write(tmp_path / "s.csv", "Image,Id\n1.jpg,a b c d e\n")
    found = read_sample(path, classes, known=("1",))
    assert (found.form, found.kind, found.top) == ("list", "top", 5)


def test_what_fits_two_forms_is_refused_with_both_and_the_flag(tmp_path: Path) -> None:
    known = ("a", *(f"a_{name}" for name in CLASSES))
    text = "id,value\n" + "".join(f"a_{name},cat\n" for name in CLASSES)
    told = r"fits two forms: label \(.*\) and melted \(.*\). Say.*--form label or --form melted"
    with pytest.raises(UsageError, match=told):
        of(tmp_path, text, known)
    assert of(tmp_path, text, known, form="melted").ids == ("a",)
    assert of(tmp_path, text, known, form="label").ids == known[1:]


def test_columns_that_are_classes_and_tasks_ask_for_the_flag(tmp_path: Path) -> None:
    tasks, text = dict.fromkeys(CLASSES, ()), "id,cat,dog,eel\na,0.5,0.5,0.5\n"
    with pytest.raises(UsageError, match="--form tasks or --form wide"):
        of(tmp_path, text, tasks=tasks)
    assert of(tmp_path, text, tasks=tasks, form="wide").kind == "probs"
    assert of(tmp_path, text, tasks=tasks, form="tasks").kind == "tasks"


@pytest.mark.parametrize(
    ("form", "text"),
    [("label", "id,cat,dog,eel\na,0,0,0\n"), ("list", "id,cat,dog,eel\na,0,0,0\n"),
     ("tasks", "id,label\na,cat\n"), ("melted", "id,label\na,cat\n")],
)  # fmt: skip
def test_a_form_that_does_not_fit_is_refused(tmp_path: Path, form: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"--form {form}: the sample .*does not fit it: expected"):
        of(tmp_path, text, form=form)


def test_one_column_is_wide_or_a_list_where_that_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,target\na,0\n")
    wide = Wanted(form="wide", positive="dog")
    assert read_sample(path, ("cat", "dog"), wanted=wide).classes == ("dog",)
    assert of(tmp_path, "id,target\na,cat\n", form="list").top == 1


def test_a_column_beside_is_kept_and_any_other_refused(tmp_path: Path) -> None:
    found = of(tmp_path, "id,Usage,label\na,Public,cat\n")
    assert [(each.place, each.name, each.cells) for each in found.copied] == [
        (1, "Usage", ("Public",))
    ]
    with pytest.raises(UsageError, match="no class for label, note"):
        of(tmp_path, "id,note,label\na,x,cat\n")


def test_whole_numbers_of_a_melted_regression_ask_for_the_flag(tmp_path: Path) -> None:
    rows = "".join(f"{i}__{c},7\n" for i in "ab" for c in CLASSES)
    with pytest.raises(UsageError, match="whole numbers, such as 7"):
        of(tmp_path, f"id,value\n{rows}", task="regression")
    zeros = of(tmp_path, f"id,value\n{rows.replace(',7', ',0')}", task="regression")
    assert zeros.rounding == "off"
