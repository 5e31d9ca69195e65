"""A soup is held against the vote of its parts, and what speaks against it is told."""

from dataclasses import replace

import numpy as np
import pytest

from ensemble.members.card import Head
from ensemble.pipeline.soup_agreement import SoupAgreement, activated, compare_soup
from ensemble.records import Activation

HEAD = Head("label", "logits", "classification", "none", ("a", "b", "c"))
TAGS = Head("tags", "logits", "multilabel", "sigmoid", ("a", "b"))
YEARS = Head("years", "years", "regression", "none", ("years",))
LOGITS = np.array([[0.0, 1.0, -2.0], [3.0, 0.5, 0.25]])


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("softmax", np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)),
        ("sigmoid", 1 / (1 + np.exp(-LOGITS))),
        ("exp", np.exp(LOGITS)),
        ("none", LOGITS),
    ],
)
def test_outputs_become_what_the_card_says(activation: Activation, expected: np.ndarray) -> None:
    found = activated(replace(HEAD, activation=activation), LOGITS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def hot(*labels: int) -> np.ndarray:
    return np.eye(3)[list(labels)]


def test_labels_differ_from_the_vote_and_between_the_parts_farthest_apart() -> None:
    parts = [hot(0, 1, 2, 0), hot(0, 1, 2, 1) * 0.8, hot(0, 0, 2, 0) * 0.9]
    found = compare_soup(HEAD, hot(0, 1, 1, 0), parts)  # the vote is 0, 1, 2, 0
    assert (found.images, found.apart, found.parts_apart) == (4, 0.25, 0.5)
    assert found.scores is None


def test_an_image_of_several_labels_differs_where_any_does() -> None:
    sure, unsure = np.array([[9.0, -9.0]] * 4), np.array([[9.0, -9.0]] * 3 + [[9.0, 9.0]])
    found = compare_soup(TAGS, unsure, [sure, sure * 2])
    assert (found.apart, found.parts_apart) == (0.25, 0.0)


def test_values_differ_by_their_root_mean_square() -> None:
    parts = [np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])]
    found = compare_soup(YEARS, np.array([[2.0], [6.0]]), parts)  # the vote is 2, 3
    assert found.apart == pytest.approx(np.sqrt(4.5))
    assert found.parts_apart == pytest.approx(2.0)
    assert found.source == {"vote_rmse:years": found.apart}
    assert "by 2.12 (root mean square), two parts by 2 (root" in str(found)


def test_labels_score_the_soup_the_vote_and_every_part() -> None:
    parts = [hot(0, 1, 2, 0), hot(0, 1, 1, 1) * 0.8]
    found = compare_soup(HEAD, hot(0, 1, 2, 2), parts, np.array([0, 1, 1, 0]))
    assert found.scores is not None
    assert found.scores.metric == "accuracy"
    assert (found.scores.soup, found.scores.vote, found.scores.parts) == (0.5, 0.75, (0.75, 0.75))
    assert str(found).endswith(
        "accuracy 0.5000 of the soup, 0.7500 of the vote, 0.7500, 0.7500 of its parts"
    )
    assert found.source == {"vote_agreement:label": 0.75, "accuracy:label": 0.5}


def test_a_regression_is_scored_by_its_error() -> None:
    parts = [np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])]
    found = compare_soup(YEARS, parts[0], parts, np.array([[1.0], [2.0]]))
    assert found.scores is not None
    assert (found.scores.soup, found.scores.vote, found.scores.parts) == (0.0, 1.0, (0.0, 2.0))
    assert found.warnings == []


NEAR = SoupAgreement("label", "classification", 100, 0.02, 0.05)


def test_a_soup_as_near_to_the_vote_as_its_parts_to_each_other_warns_of_nothing() -> None:
    assert NEAR.warnings == []
    assert replace(NEAR, apart=0.05).warnings == []


def test_a_soup_farther_from_the_vote_than_its_parts_from_each_other_warns() -> None:
    (warning,) = replace(NEAR, apart=0.06).warnings
    assert "differ in 6.00% of labels, two parts in 5.00% of labels at most" in warning
    assert "begun apart do not average; export the checkpoints as members" in warning


@pytest.mark.parametrize(("soup", "warned"), [(0.5, False), (1.0, False), (1.5, True)])
def test_a_soup_of_values_that_is_worse_than_each_part_warns(soup: float, warned: bool) -> None:
    parts = [np.array([[0.5]]), np.array([[-1.0]])]
    found = compare_soup(YEARS, np.array([[soup]]), parts, np.array([[0.0]]))
    worse = [w for w in found.warnings if "scores worse than each of its parts: rmse 1.5" in w]
    assert bool(worse) == warned
