"""A label map's table: read in any order, and refused by row and task."""

from itertools import permutations
from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.files.label_maps import read_label_map

LINES = [
    ("label", "mask", "age"),
    ("0", "on", "<30"),
    ("1", "on", ">=30"),
    ("2", "off", "<30"),
    ("10", "off", ">=30"),
]


def write(lines: list[tuple[str, ...]]) -> Path:
    path = Path("map.csv")
    path.write_text("\n".join(map(",".join, lines)))
    return path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_labels_and_tasks_are_in_the_natural_order_of_their_names() -> None:
    found = read_label_map(write(LINES))
    assert found.labels == ("0", "1", "2", "10")
    assert found.names == ("age", "mask")
    assert found.rows[3] == (">=30", "off")


def test_no_order_of_rows_or_columns_changes_a_map() -> None:
    expected = read_label_map(write(LINES))
    for rows in permutations(LINES[1:]):
        assert read_label_map(write([LINES[0], *rows])) == expected
    for order in permutations(range(3)):
        moved = [tuple(line[place] for place in order) for line in LINES]
        assert read_label_map(write(moved)) == expected


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([*LINES, ("0", "off", "<30")], "map.csv, line 6: the label '0' stands there twice"),
        (
            [*LINES, ("4", "on", "<30")],
            "line 6: the combination age <30, mask on is that of",
        ),
        ([*LINES, ("4", "", "<30")], "line 6, column 'mask': the cell is empty"),
        ([*LINES, ("", "on", "<30")], "line 6, column 'label': the cell is empty"),
        (LINES[:2], "two labels or more"),
        ([("id", "mask"), ("0", "on")], "has the column 'label'"),
        ([("label",), ("0",), ("1",)], "a named column for each task"),
    ],
)
def test_a_table_that_is_no_map_is_refused_by_its_line(
    lines: list[tuple[str, ...]], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        read_label_map(write(lines))
