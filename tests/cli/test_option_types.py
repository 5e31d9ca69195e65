"""What is typed is read as what it is for, or refused with what was expected."""

import click
import pytest

from ensemble.cli.option_types import Equation, auto_or_number, off_or_evaluations


def test_a_word_stands_beside_numbers() -> None:
    assert (auto_or_number("auto"), auto_or_number("12")) == ("auto", 12)
    assert (off_or_evaluations("off"), off_or_evaluations("2.5")) == (None, 2.5)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "all"])
def test_what_is_neither_auto_nor_a_number_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither auto nor a whole number"):
        auto_or_number(text)


@pytest.mark.parametrize("text", ["0.5", "inf", "nan", "much"])
def test_what_is_neither_off_nor_a_number_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither off nor a number from 1 on"):
        off_or_evaluations(text)


def test_a_variable_holds_equations_with_semicolons_between_them() -> None:
    found = Equation().split_envvar_value("total = a + b; gdm = a - c")
    assert [text.strip() for text in found] == ["total = a + b", "gdm = a - c"]
