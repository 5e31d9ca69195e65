"""What a page is made of: names and numbers as they are shown."""

import pytest

from ensemble.reports.page.blocks import (
    UNDEFINED,
    count_cell,
    interval_cell,
    name_cell,
    score_cell,
    shown_name,
)


def test_a_number_is_rounded_and_kept_in_full() -> None:
    cell = score_cell(1 / 3)
    assert (cell.text, float(cell.exact)) == ("0.3333", 1 / 3)
    assert score_cell(-1e-9, 5).text == "0.00000"
    assert score_cell(None) == UNDEFINED


def test_both_ends_of_an_interval_are_kept_in_full() -> None:
    cell = interval_cell((1 / 3, 2 / 3))
    assert cell.text == "0.3333 to 0.6667"
    assert [float(end) for end in cell.exact.split()] == [1 / 3, 2 / 3]
    assert interval_cell(None).text == "too few rows"


def test_thousands_are_apart() -> None:
    assert count_cell(1234567).text == "1\u202f234\u202f567"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("a\u202eb", "a\\u202eb"),
        ("a\nb", "a\\nb"),
        ("\udcff", "\\udcff"),
        ("<b>&", "<b>&"),
        ("\u05d0\u05d1", "\u05d0\u05d1"),
    ],
)
def test_what_is_odd_in_a_name_is_spelled_out(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_a_long_name_is_cut_inside() -> None:
    text = shown_name(f"{'a' * 500}end")
    assert len(text) == 60
    assert text.endswith("aend")
    assert "…" in text
    assert name_cell("x" * 500).text == shown_name("x" * 500)
