"""Each class's scores and the most confused pairs are those that a slow count finds."""

import numpy as np
import sklearn.metrics as sk

from ensemble.reports.by_class import Confused, most_confused, scores_of_counts, scores_of_labels

NAMES = ("a", "b", "c")


def test_classes_without_a_row_or_a_prediction_count_zero() -> None:
    counts = np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]], float)
    found = scores_of_counts(counts, NAMES)
    y, said = np.repeat([0, 0, 1, 1], [3, 1, 2, 2]), np.repeat([0, 1, 0, 1], [3, 1, 2, 2])
    expected = np.array(
        sk.precision_recall_fscore_support(y, said, labels=[0, 1, 2], zero_division=0)
    )
    np.testing.assert_allclose(
        [(c.precision, c.recall, c.f1, c.support) for c in found], expected.T, atol=1e-12
    )


def test_labels_are_counted_each_on_its_own() -> None:
    rng = np.random.default_rng(0)
    y, given = rng.integers(0, 2, (40, 3)), rng.integers(0, 2, (40, 3)).astype(float)
    expected = np.array(sk.precision_recall_fscore_support(y, given)).T
    found = scores_of_labels(y, given, NAMES)
    np.testing.assert_allclose(
        [(c.precision, c.recall, c.f1, c.support) for c in found], expected, atol=1e-12
    )


def test_pairs_come_by_their_rows_and_then_by_the_truth() -> None:
    counts = np.array([[9, 1, 0], [4, 9, 1], [0, 0, 9]], float)
    assert most_confused(counts, NAMES) == (
        Confused("b", "a", 4), Confused("a", "b", 1), Confused("b", "c", 1)
    )  # fmt: skip
    assert most_confused(np.eye(3), NAMES) == ()
