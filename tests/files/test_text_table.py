"""A table in memory stands where a CSV may."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.files.csv_tables import csv_bytes, read_lines, rows_of
from ensemble.files.text_table import TextTable

TABLE = TextTable("labels", ("id", "label"), (("a", "cat"), ("b", "dog, grey")))


def test_a_table_in_memory_is_read_as_its_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(csv_bytes([TABLE.header, *TABLE.rows]))
    assert read_lines(path) == read_lines(TABLE)


def test_messages_call_it_by_its_name() -> None:
    with pytest.raises(UsageError, match="labels: no column 'fold'; it has id, label"):
        rows_of(TABLE, ["fold"])
    with pytest.raises(UsageError, match="labels, line 1: column 'id' stands there twice"):
        read_lines(TextTable("labels", ("id", "id"), ()))
    assert repr(TABLE) == "<labels: 2 rows, columns id, label>"


def test_other_rows_have_another_hash() -> None:
    same = TextTable("other", TABLE.header, TABLE.rows)
    joined = TextTable("labels", TABLE.header, (("a", "cat"), ("b,dog", " grey")))
    assert same.sha256 == TABLE.sha256 != joined.sha256
