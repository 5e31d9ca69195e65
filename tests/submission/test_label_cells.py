"""Labels are told from the numbers of their classes by the cells, or somebody says."""

import pytest
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.submission.label_cells import are_integers, index_labels, is_fraction


def test_names_that_are_classes_are_names() -> None:
    assert not index_labels("s.csv", ["cat", "eel"], CLASSES, "auto")
    assert not index_labels("s.csv", [], CLASSES, "auto")


def test_what_is_said_is_not_asked_of_the_cells() -> None:
    assert index_labels("s.csv", ["cat"], CLASSES, "index")
    assert not index_labels("s.csv", ["0.5"], CLASSES, "name")


@pytest.mark.parametrize(
    ("cells", "message"),
    [(["1"], "holds integers"), (["0.5"], "a column for each class"), (["cta"], "mean 'cat'")],
)
def test_cells_that_are_neither_ask_for_the_flag(cells: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"{message}.*--labels-as"):
        index_labels("s.csv", cells, CLASSES, "auto")


def test_whole_numbers_are_no_fractions() -> None:
    assert [is_fraction(text) for text in ("1", "-3", "0.5", "1e3", "cat")] == [
        False, False, True, True, False
    ]  # fmt: skip
    assert are_integers(["1", "-3"]) and not are_integers(["1", "0.5"])
