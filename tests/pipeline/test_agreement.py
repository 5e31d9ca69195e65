"""How two members compare: label by label, and what that shows of other images."""

import numpy as np
import pytest
from scipy.stats import binomtest
from toys import CLASSES

from ensemble.members.card import Head
from ensemble.pipeline.agreement import Comparison, compare


@pytest.mark.parametrize(("changed", "images"), [(0, 50), (3, 200), (199, 200)])
def test_no_more_labels_change_elsewhere_than_the_exact_limit(changed: int, images: int) -> None:
    found = Comparison("label", images, changed, 0.0, 0.0)
    exact = binomtest(changed, images, alternative="less").proportion_ci(0.95)
    assert found.most == pytest.approx(exact.high)


def test_where_every_label_changes_every_other_may() -> None:
    assert Comparison("label", 5, 5, 0.0, 0.0).most == 1


def test_a_multilabel_row_changes_by_any_label() -> None:
    head = Head("label", "logits", "multilabel", "sigmoid", CLASSES)
    before = np.array([[0.9, 0.2, 0.6], [0.9, 0.2, 0.6]])
    after = np.array([[0.8, 0.2, 0.4], [0.6, 0.4, 0.9]])
    assert compare(head, before, after, None).changed == 1


def test_differences_and_accuracies_are_told() -> None:
    head = Head("label", "logits", "classification", "softmax", CLASSES)
    before = np.array([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]])
    after = np.array([[0.4, 0.6, 0.0], [0.2, 0.8, 0.0]])
    found = compare(head, before, after, np.array([0, 1]))
    assert (found.images, found.changed, found.accuracies) == (2, 1, (1.0, 0.5))
    assert found.largest == pytest.approx(0.2)
    assert found.mean == pytest.approx(0.4 / 6)
