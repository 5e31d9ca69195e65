"""Values are written as they are, whole or by cuts, as somebody said."""

import pytest

from ensemble.errors import UsageError
from ensemble.submission.rounding import check_whole, cuts_of


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
