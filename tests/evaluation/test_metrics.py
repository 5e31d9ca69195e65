"""Each metric is scikit-learn's, to 1e-12."""

from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics as sk
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.evaluation.metrics import METRICS, TOP, check_defined, metric_of
from ensemble.records import Task

Oracle = Callable[[NDArray[np.int64], NDArray[np.float64]], float]

LABELS = np.arange(5)
CLASSIFICATION: dict[str, Oracle] = {
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda y, p: sk.balanced_accuracy_score(y, p.argmax(1)),
    "f1_macro": lambda y, p: sk.f1_score(y, p.argmax(1), average="macro"),
    "f1_micro": lambda y, p: sk.f1_score(y, p.argmax(1), average="micro"),
    "log_loss": lambda y, p: sk.log_loss(y, p, labels=LABELS),
    "brier": lambda y, p: sk.brier_score_loss(y, p, labels=LABELS, scale_by_half=False),
    "auc": lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr", average="macro"),
    "qwk": lambda y, p: sk.cohen_kappa_score(y, p.argmax(1), weights="quadratic"),
    "top_k": lambda y, p: sk.top_k_accuracy_score(y, p, k=TOP, labels=LABELS),
}
MULTILABEL: dict[str, Oracle] = {
    "f1": lambda y, p: sk.f1_score(y, p >= 0.5, average="macro", zero_division=0),
    "map": lambda y, p: sk.average_precision_score(y, p, average="macro"),
    "auc": lambda y, p: sk.roc_auc_score(y, p, average="macro"),
}
REGRESSION: dict[str, Oracle] = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
}
ORACLES = {"classification": CLASSIFICATION, "multilabel": MULTILABEL, "regression": REGRESSION}


def predictions(seed: int, *, rounded: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels of five classes and probabilities, with ties where they are rounded."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([LABELS, rng.integers(0, 5, 95)])
    scores = rng.gamma(0.7, size=(100, 5)) + 0.4 * np.eye(5)[y]
    scores = np.round(scores, 1) + 0.1 if rounded else scores
    return y, scores / scores.sum(1, keepdims=True)


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("seed", range(3))
def test_a_metric_of_classes_is_that_of_sklearn(name: str, seed: int) -> None:
    y, probs = predictions(seed, rounded=name not in ("top_k", "log_loss"))
    expected = CLASSIFICATION[name](y, probs)
    assert metric_of(name, "classification").score(y, probs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", MULTILABEL)
@pytest.mark.parametrize("seed", range(3))
def test_a_metric_of_labels_is_that_of_sklearn(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (60, 4))
    probs = np.round(np.clip(rng.random((60, 4)) * 0.8 + 0.2 * y, 0, 1), 2)
    expected = MULTILABEL[name](y, probs)
    assert metric_of(name, "multilabel").score(y, probs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", REGRESSION)
def test_a_metric_of_values_is_that_of_sklearn(name: str) -> None:
    rng = np.random.default_rng(0)
    y, values = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    expected = REGRESSION[name](y, values)
    assert metric_of(name, "regression").score(y, values) == pytest.approx(expected, abs=1e-12)


def test_every_metric_has_an_oracle() -> None:
    assert {t: set(m) for t, m in METRICS.items()} == {t: set(m) for t, m in ORACLES.items()}


@pytest.mark.parametrize("task", METRICS)
def test_a_better_score_is_a_gain(task: Task) -> None:
    for metric in METRICS[task].values():
        better, worse = (0.9, 0.8) if metric.greater else (0.8, 0.9)
        assert metric.gain(better, worse) == pytest.approx(0.1)


def test_an_unknown_metric_is_refused_and_the_known_are_listed() -> None:
    with pytest.raises(UsageError, match="for regression there are rmse, mae"):
        metric_of("accuracy", "regression")


def test_a_class_that_no_row_shows_is_named_where_the_metric_needs_it() -> None:
    y = np.array([0, 0, 1])
    with pytest.raises(UsageError, match="f1_macro is not defined.*eel"):
        check_defined(y, ("cat", "dog", "eel"), "classification", "f1_macro")
    check_defined(y, ("cat", "dog", "eel"), "classification", "accuracy")


def test_a_label_that_every_row_shows_has_no_area() -> None:
    y = np.array([[1, 0], [1, 1]])
    with pytest.raises(UsageError, match="auc is not defined.*cat"):
        check_defined(y, ("cat", "dog"), "multilabel", "auc")
    check_defined(y, ("cat", "dog"), "multilabel", "f1")
