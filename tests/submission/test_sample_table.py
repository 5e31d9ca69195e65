"""A sample's columns are the id, what is to be filled, and what is copied."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.submission.sample_table import SampleTable, read_sample_table


def table(
    folder: Path, text: str, names: tuple[str, ...] = ("cat", "dog"), **how: str
) -> SampleTable:
    (folder / "s.csv").write_text(text)
    return read_sample_table(folder / "s.csv", names, how.get("id_column"), ("a",))


def test_the_columns_beside_the_id_are_to_be_filled(tmp_path: Path) -> None:
    found = table(tmp_path, "cat,id,dog\n0,a,1\n")
    assert (found.id_place, found.places, found.copied) == (1, (0, 2), ())
    assert (found.columns, found.ids, found.cells(2)) == (("cat", "dog"), ["a"], ["1"])


@pytest.mark.parametrize("name", ["Usage", "usage", "split", "Unnamed: 0"])
def test_a_split_or_an_index_is_copied(tmp_path: Path, name: str) -> None:
    found = table(tmp_path, f"id,cat,{name}\na,0,x\n", id_column="id")
    assert (found.columns, found.copied) == (("cat",), (2,))


def test_a_class_is_never_copied_whatever_it_is_called(tmp_path: Path) -> None:
    assert table(tmp_path, "id,split,cat\na,0,1\n", ("split", "cat")).copied == ()


def test_the_only_column_is_not_copied(tmp_path: Path) -> None:
    assert table(tmp_path, "id,usage\na,0\n").columns == ("usage",)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no rows"):
        table(tmp_path, "id,cat\n")
