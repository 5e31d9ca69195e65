"""Columns are predictions by what they are called and hold, or it is said which are not."""

import numpy as np
import pytest

from ensemble.errors import UsageError
from ensemble.predictions.class_columns import BINARY, choose

HALF = np.array([0.5, 0.25])


def test_every_column_of_classes_is_taken_in_its_order() -> None:
    found = choose("t", {"dog": HALF, "cat": 1 - HALF}, (), "classification")
    assert (found.classes, found.notes) == (("dog", "cat"), ())
    assert found.probs.tolist() == [[0.5, 0.5], [0.25, 0.75]]


def test_columns_that_are_declared_are_taken_and_known_ones_left_out() -> None:
    columns = {"dog": HALF, "Usage": None, "target": np.array([1.0, 0.0]), "cat": 1 - HALF}
    found = choose("t", columns, ("cat", "dog"), "classification")
    assert found.classes == ("dog", "cat")
    assert found.notes == ("t: the columns Usage, target are no class, and left out",)


def test_a_column_called_target_is_a_class_where_it_is_declared() -> None:
    columns = {"target": HALF, "pred": 1 - HALF}
    assert choose("t", columns, ("target", "pred"), "regression").classes == ("target", "pred")


def test_one_column_has_two_classes_unless_labels_are_on_their_own() -> None:
    assert choose("t", {"p": HALF}, (), "classification").classes == BINARY
    assert choose("t", {"p": HALF}, (), "multilabel").classes == ("p",)
    with pytest.raises(UsageError, match="--classes names 3: a, b, c"):
        choose("t", {"p": HALF}, ("a", "b", "c"), "classification")


def test_a_table_of_labels_alone_has_no_predictions() -> None:
    with pytest.raises(UsageError, match="no column is of predictions: it has label"):
        choose("t", {"label": None}, (), "classification")
