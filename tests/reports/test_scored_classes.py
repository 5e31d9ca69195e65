"""What a submission says of classes: scores from labels and probabilities, and their order."""

import numpy as np
import pytest

from ensemble.errors import UsageError
from ensemble.files.text_table import TextTable
from ensemble.reports.scored_classes import absent_grades, check_labels, class_scores, in_order
from ensemble.reports.submitted import Submitted

TRUTH = TextTable("labels.csv", ("id", "label"), (("a", "cat"),))
GIVEN = TextTable("sub.csv", ("id",), ())


def given(columns: tuple[str, ...], *rows: list[str]) -> Submitted:
    return Submitted(GIVEN, columns, {str(row): cells for row, cells in enumerate(rows)})


def test_a_label_is_1_in_its_column_and_0_in_the_others() -> None:
    scores, classes = class_scores(given(("label",), ["dog"], ["cat"]), {"cat", "emu"}, TRUTH)
    assert classes == ("cat", "dog", "emu")
    assert scores.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_probabilities_stay_as_they_are() -> None:
    scores, classes = class_scores(given(("b", "a"), ["0.25", "3"]), {"a", "b"}, TRUTH)
    assert (classes, scores.tolist()) == (("b", "a"), [[0.25, 3.0]])


@pytest.mark.parametrize("cells", [["-0.1", "1.1"], ["0", "0"]])
def test_scores_below_0_and_rows_of_0_are_refused(cells: list[str]) -> None:
    with pytest.raises(UsageError, match="at least 0, and not all 0"):
        class_scores(given(("a", "b"), cells), {"a", "b"}, TRUTH)


def test_a_column_beside_what_sums_to_1_is_named() -> None:
    with pytest.raises(UsageError, match="columns n are no labels"):
        class_scores(given(("a", "b", "n"), ["0.5", "0.5", "7"]), {"a", "b"}, TRUTH)


def test_a_handful_of_unknown_labels_is_taken_beside_one_that_is_known() -> None:
    known = {"cat"}
    check_labels(GIVEN, {"cat", *"12345"}, TRUTH, known)
    with pytest.raises(UsageError, match="6 of its 7 labels are none"):
        check_labels(GIVEN, {"cat", *"123456"}, TRUTH, known)
    with pytest.raises(UsageError, match="1 of its 1 labels"):
        check_labels(GIVEN, {"dog"}, TRUTH, known)


def test_numbers_are_put_in_their_order_and_names_stay() -> None:
    scores = np.array([[0.1, 0.2, 0.7]])
    found, classes = in_order(scores, ("10", "9", "2"), ())
    assert (found.tolist(), classes) == ([[0.7, 0.2, 0.1]], ("2", "9", "10"))
    assert in_order(scores, ("c", "a", "b"), ())[1] == ("c", "a", "b")


def test_a_class_that_is_said_and_not_given_has_no_probability() -> None:
    found, classes = in_order(np.array([[0.4, 0.6]]), ("b", "a"), ("a", "x", "b"))
    assert (found.tolist(), classes) == ([[0.6, 0.0, 0.4]], ("a", "x", "b"))
    with pytest.raises(UsageError, match="b: none of --classes a"):
        in_order(np.array([[0.4, 0.6]]), ("b", "a"), ("a",))


def test_grades_between_that_no_row_shows_are_told_and_names_have_none() -> None:
    (told,) = absent_grades(np.array([0, 2, 0]), ("1", "2", "4"))
    assert told.startswith("no row is labelled 2, 3")
    assert absent_grades(np.array([0, 1, 2]), ("1", "2", "3")) == ()
    assert absent_grades(np.array([0]), ("a", "b")) == ()
