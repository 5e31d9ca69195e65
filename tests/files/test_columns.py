"""The columns of a table are found by their names and what they hold, and never by their place."""

import pytest

from ensemble.errors import UsageError
from ensemble.files.columns import (
    check_no_index,
    fold_column,
    id_column,
    is_beside,
    is_index,
    is_split,
    said_where_there,
    submitted_id,
)

HEADER = ("lesion", "image", "age")
ROWS = (("L1", "a", "40"), ("L1", "b", "50"), ("L2", "c", "60"))


def test_the_id_is_what_is_said_or_id() -> None:
    assert id_column("t", ("x", "id"), said="x") == "x"
    assert id_column("t", ("x", "id")) == "id"
    with pytest.raises(UsageError, match="t: no column 'y', as --id-col says; it has x, id"):
        id_column("t", ("x", "id"), said="y")


def test_the_id_is_the_one_column_that_holds_the_ids_that_are_known() -> None:
    assert id_column("t", HEADER, ROWS, known=("c", "a")) == "image"
    assert id_column("t", HEADER, ROWS, known=("c", "nobody")) == "image"
    assert id_column("t", ("id", *HEADER), ROWS, known=("c", "a")) == "id"


@pytest.mark.parametrize("known", [(), ("nobody",)])
def test_a_column_is_never_the_id_by_its_place(known: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        id_column("t", HEADER, ROWS, known=known)
    told = "t: no column is called id; it has lesion, image, age. Say by --id-col which is the id"
    assert str(caught.value) == told


def test_ids_that_two_columns_hold_tell_of_neither() -> None:
    with pytest.raises(UsageError, match="Say by --id-col"):
        id_column("t", ("x", "y"), (("a", "a"), ("b", "b")), known=("a", "b"))


def test_a_submission_has_its_id_first_unless_it_is_told() -> None:
    assert submitted_id("t", HEADER, ROWS) == "lesion"
    assert submitted_id("t", HEADER, ROWS, known=("a", "b", "c")) == "image"
    assert submitted_id("t", HEADER, ROWS, said="age") == "age"
    assert submitted_id("t", ("label", "id")) == "id"


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 12", "__index_level_0__", "index"])
def test_an_index_is_refused_with_the_two_remedies(name: str) -> None:
    assert is_index(name)
    for find in (id_column, submitted_id):
        with pytest.raises(UsageError, match=r"is an index.*index=False.*--id-col"):
            find("t", (name, "id", "x"))
    assert id_column("t", (name, "image"), said="image") == "image"


def test_other_names_are_no_index() -> None:
    check_no_index("t", ("id", "Unnamed", "index_of", "level"))


def test_folds_are_found_in_any_case() -> None:
    assert fold_column("t", ("id", "KFold")) == "KFold"
    assert fold_column("t", ("kfold", "fold")) == "fold"
    assert fold_column("t", ("id", "folder")) is None


def test_labels_and_splits_stand_beside_predictions() -> None:
    assert all(map(is_beside, ("label", "Target", "Usage", "split")))
    assert not any(map(is_beside, ("id", "cat", "fold", "y")))


def test_a_split_is_told_in_any_case_and_a_label_is_none() -> None:
    assert all(map(is_split, ("Usage", "split", "SUBSET")))
    assert not any(map(is_split, ("label", "usages", "")))


def test_ids_a_folder_or_an_extension_apart_tell_their_column() -> None:
    rows = (("cat", "1/a.png"), ("cat", "1/b.png"), ("dog", "2/c.png"))
    assert submitted_id("t", ("label", "image"), rows, known=("a", "b", "c")) == "image"
    assert id_column("t", ("label", "image"), rows, known=("1/a", "1/b", "2/c")) == "image"


def test_a_column_with_a_name_twice_is_not_told_by_ids_that_are_written_otherwise() -> None:
    rows = (("a.png", "x"), ("a.png", "y"))
    assert submitted_id("t", ("label", "image"), rows, known=("a",)) == "label"


def test_what_is_said_is_said_to_the_tables_that_have_the_column() -> None:
    tables = (("s", ("id", "label")), ("t", ("image", "label")))
    assert said_where_there("image", tables) == (None, "image")
    assert said_where_there(None, tables) == (None, None)


def test_a_column_that_no_table_has_is_refused_with_what_each_has() -> None:
    with pytest.raises(UsageError, match=r"no column 'x', as --id-col says: s has id; t has '', b"):
        said_where_there("x", (("s", ("id",)), ("t", ("", "b"))))
