"""Tables that Python is given: a frame is the table of its CSV."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ensemble.api.tables import submission_of, table_of
from ensemble.errors import UsageError
from ensemble.files.csv_tables import column_of, csv_bytes, read_table
from ensemble.files.text_table import TextTable


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"id": ["a", "7"], "label": ["cat", None], "n": [1, 2]}),
        pd.DataFrame({"label": ["cat", float("nan")], "n": [1, 2]}, pd.Index(["a", 7])),
    ],
)
def test_a_frame_is_the_csv_that_it_would_be_written_to(given: pd.DataFrame) -> None:
    table = table_of(given, "labels")
    assert read_table(table) == (["id", "label", "n"], [["a", "cat", "1"], ["7", "", "2"]])


def test_a_frame_of_texts_is_read_as_its_file_is(tmp_path: Path) -> None:
    rows = [("id", "label"), ("007", "1e5"), ("NA", "Zebra, grey")]
    path = tmp_path / "t.csv"
    path.write_bytes(csv_bytes(rows))
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert read_table(table_of(frame, "t")) == read_table(path)
    assert column_of(table_of(frame.set_index("id")["label"], "t", "label"), "label") == {
        "007": "1e5", "NA": "Zebra, grey",
    }  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"image": ["a", "b"]}),
        pd.Series(["cat", "dog"]),
    ],
)
def test_rows_are_never_joined_by_their_position(given: object) -> None:
    with pytest.raises(UsageError, match="its index numbers the rows, and no column is called id"):
        table_of(given, "labels", "label")


def test_an_index_that_is_named_is_of_ids() -> None:
    frame = pd.DataFrame({"label": ["cat", "dog"]}).rename_axis("id")
    assert column_of(table_of(frame, "labels"), "label") == {"0": "cat", "1": "dog"}


def test_numbers_that_are_ids_are_texts_and_stand_once() -> None:
    assert table_of({7: "cat"}, "labels", "label") == TextTable(
        "labels", ("id", "label"), (("7", "cat"),)
    )
    with pytest.raises(UsageError, match="labels: id '7' stands there twice"):
        table_of({7: "cat", "7": "dog"}, "labels", "label")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: table_of(7, "sample"), "sample: expected a path or a DataFrame; found int"),
        (
            lambda: table_of(["a"], "labels", "label"),
            "labels: expected a path or a DataFrame, a Series or a mapping by id; found list",
        ),
        (
            lambda: table_of({"a": 1}, "sample"),
            "sample: expected a path or a DataFrame; found dict",
        ),
        (lambda: submission_of(1, "first"), "first: expected a path or a DataFrame; found int"),
    ],
)
def test_another_type_is_refused_with_what_was_expected(
    read: Callable[[], object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read()
