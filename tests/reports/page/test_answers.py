"""How sure, how doubtful and how disputed rows are."""

import numpy as np
import pytest
from pages import answer_of, card_of, given
from scipy.spatial.distance import jensenshannon

from ensemble.reports.page.answers import confidence_of, dispute_of, first_rows, label_doubt


def test_two_families_dispute_by_the_divergence_of_jensen_and_shannon() -> None:
    one, two = given(20, 1), given(20, 2)
    found = dispute_of({"a": one, "b": two}, "classification")
    assert found == pytest.approx(jensenshannon(one, two, 2, axis=1) ** 2, abs=1e-12)


def test_families_that_say_the_same_dispute_nothing() -> None:
    one = np.array([[1.0, 0.0], [0.5, 0.5]])
    for task in ("classification", "multilabel", "regression"):
        assert dispute_of({"a": one, "b": one}, task) == pytest.approx([0, 0], abs=1e-12)


def test_labels_of_their_own_dispute_by_both_of_their_sides() -> None:
    one, two = np.array([[0.2]]), np.array([[0.9]])
    pair = [np.append(each, 1 - each, 1) for each in (one, two)]
    found = dispute_of({"a": one, "b": two}, "multilabel")
    assert found == pytest.approx(jensenshannon(*pair, 2, axis=1) ** 2)


def test_values_dispute_by_their_spread() -> None:
    found = dispute_of({"a": np.array([[1.0, 2]]), "b": np.array([[3.0, 2]])}, "regression")
    assert found.tolist() == [0.5]


def test_the_first_rows_are_those_of_the_largest_numbers_and_of_equal_ones_the_first() -> None:
    assert first_rows(np.array([1.0, 3, 2, 3]), 3).tolist() == [1, 3, 2]


def test_doubt_is_nearness_to_a_half() -> None:
    assert label_doubt(np.array([[0.1, 0.6], [0.0, 1.0]])) == pytest.approx([0.4, 0.0])
    assert confidence_of(np.array([[0.1, 0.6]])).tolist() == [0.6]


def test_certainty_is_taken_where_probabilities_meet_a_truth() -> None:
    probs = given(6)
    hard = card_of(["ant"] * 6, np.eye(3)[probs.argmax(1)], labels_only=True)
    soft = card_of(["ant"] * 6, probs)
    assert answer_of(probs).sure is None
    assert answer_of(probs, hard).sure is None
    assert answer_of(probs, hard, probs_card=soft).sure is soft.compared
    assert answer_of(probs, soft).sure is soft.compared
