"""Values are written as they are, whole or by cuts, as somebody said."""

import numpy as np
import pytest

from ensemble.errors import ContractError, UsageError
from ensemble.submission.rounding import check_whole, cuts_of, number_texts


def test_cuts_ascend_or_are_refused() -> None:
    assert cuts_of("0.5,1.5") == (0.5, 1.5)
    assert cuts_of("nearest") == cuts_of("off") == ()
    for odd in ("1.5,0.5", "up", "", "1,nan"):
        with pytest.raises(UsageError, match="expected off, nearest, or cuts that ascend"):
            cuts_of(odd)


def test_whole_numbers_are_told_from_others() -> None:
    check_whole("s.csv", [["0"], ["0.5"]], "auto")
    check_whole("s.csv", [[""], [" "]], "auto")
    check_whole("s.csv", [["0"]], "off")
    with pytest.raises(UsageError, match="--round off"):
        check_whole("s.csv", [["0"], ["-3"]], "auto")


@pytest.mark.parametrize(
    ("rounding", "text"), [("off", "0.25,1.5"), ("nearest", "0,2"), ("0.2,1", "1,2")]
)
def test_the_values_of_a_row_are_one_text(rounding: str, text: str) -> None:
    assert number_texts(np.array([[0.25, 1.5]]), ["a"], rounding) == [text]


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ContractError, match="id 'b': the prediction is nan"):
        number_texts(np.array([[0.5, 1.0], [0.5, np.nan]]), ["a", "b"], "off")
