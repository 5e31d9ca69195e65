"""Of the metrics of a task those are scored that the rows define."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.evaluation.metrics import METRICS, Metric, metric_of
from ensemble.reports.metric_scores import metrics_of_classes, metrics_of_values, score_by

FOUR = ("cat", "dog", "eel", "fox")
EVERY = np.arange(40) % 4


def names(metrics: list[Metric]) -> set[str]:
    return {metric.name for metric in metrics}


def test_rows_of_every_class_define_all_but_a_kappa_of_names() -> None:
    found = metrics_of_classes(EVERY, FOUR, (), labels_only=False)
    assert names(found) == METRICS["classification"].keys() - {"qwk"}


def test_an_order_that_is_said_or_numbers_define_a_kappa() -> None:
    assert "qwk" in names(metrics_of_classes(EVERY, FOUR, FOUR, labels_only=False))
    assert "qwk" in names(metrics_of_classes(EVERY, tuple("0123"), (), labels_only=False))


def test_a_kappa_of_numbers_goes_by_them() -> None:
    grades = metrics_of_classes(EVERY, ("0", "1", "2", "9"), (), labels_only=True)
    (kappa,) = (metric for metric in grades if metric.name == "qwk")
    said = np.eye(4)[np.where(EVERY == 3, 2, EVERY)]
    assert kappa.score(EVERY, said) < metric_of("qwk", "classification").score(EVERY, said)


def test_a_class_without_a_row_leaves_means_over_classes_out() -> None:
    found = names(metrics_of_classes(EVERY % 3, FOUR, (), labels_only=False))
    assert found == {"accuracy", "f1_micro", "log_loss", "brier", "top_k"}


def test_labels_have_no_metric_of_probabilities() -> None:
    found = metrics_of_classes(EVERY, FOUR, (), labels_only=True)
    assert all(metric.by_label for metric in found)
    assert names(metrics_of_values("multilabel", np.eye(2), labels_only=True)) == {"f1"}


def test_three_guesses_of_three_classes_tell_nothing() -> None:
    assert "top_k" not in names(metrics_of_classes(EVERY % 3, FOUR[:3], (), labels_only=False))


def test_a_label_that_every_row_has_leaves_areas_out() -> None:
    y = np.array([[1, 0], [1, 1]])
    assert names(metrics_of_values("multilabel", y, labels_only=False)) == {"f1", "log_loss"}


@pytest.mark.parametrize("y", [np.zeros((3, 2)), np.arange(6.0).reshape(3, 2)])
def test_values_of_any_kind_have_every_metric(y: NDArray[np.float64]) -> None:
    found = metrics_of_values("regression", y, labels_only=False)
    assert names(found) == METRICS["regression"].keys()


def test_an_interval_ends_where_the_scale_of_its_metric_does() -> None:
    y = np.repeat(np.arange(60), 5)
    said = np.eye(60)[np.append(1, y[1:])]  # the bias of the draws would carry F1 over 1
    found = score_by(metric_of("f1_macro", "classification"), y, said, None)
    assert found.interval is not None
    assert 0 <= found.interval[0] <= found.score <= found.interval[1] <= 1
