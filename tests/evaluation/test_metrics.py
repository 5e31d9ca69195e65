"""Each metric is scikit-learn's, to 1e-12."""

from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensemble.arrays import Pooled
from ensemble.errors import UsageError
from ensemble.evaluation.metrics import (
    METRICS,
    TOP,
    Metric,
    Truth,
    area,
    check_defined,
    confusion,
    f1_of,
    kappa_between,
    kappa_of,
    metric_of,
)
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
    "log_loss": lambda y, p: np.mean([sk.log_loss(y[:, c], p[:, c]) for c in range(y.shape[1])]),
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


# ---- slow loops, over data that hypothesis finds

SEEDS = st.integers(0, 2**32 - 1)


def rows(seed: int, count: int = 12, classes: int = 4) -> tuple[Truth, Pooled]:
    """Labels that may lack a class, and probabilities with ties."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random((count, classes)), 1) + 0.05
    return rng.integers(0, classes, count), scores / scores.sum(1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_the_confusion_counts_each_pair_of_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, labels = rng.integers(0, 3, (2, 20))
    slow = np.zeros((3, 3))
    for truth, said in zip(y, labels, strict=True):
        slow[truth, said] += 1
    np.testing.assert_array_equal(confusion(y, labels, 3), slow)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_the_area_is_the_share_of_pairs_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.append(rng.random(12) < 0.5, [True, False])
    scores = np.round(rng.random(14), 1)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert area(positive, scores) == pytest.approx(np.mean(pairs), abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_the_f1_of_a_class_is_that_of_its_precision_and_recall(seed: int) -> None:
    y, probs = rows(seed)
    counts = confusion(y, probs.argmax(1), 4)
    for c, found in enumerate(f1_of(counts)):
        right, said, true = counts[c, c], counts[:, c].sum(), counts[c].sum()
        precision, recall = right / max(said, 1), right / max(true, 1)
        expected = 2 * precision * recall / (precision + recall) if right else 0
        assert found == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_kappa_is_one_less_the_squared_distance_over_that_by_chance(seed: int) -> None:
    y, probs = rows(seed)
    labels = probs.argmax(1)
    found = np.mean([(a - b) ** 2 for a, b in zip(y, labels, strict=True)])
    chance = np.mean([(a - b) ** 2 for a in y for b in labels])
    expected = 1 - found / chance if chance else 0.0
    assert kappa_of(confusion(y, labels, 4)) == pytest.approx(expected, abs=1e-12)


@given(seed=st.integers(0, 10**6))
def test_a_kappa_of_grades_with_a_gap_is_that_of_all_grades(seed: int) -> None:
    """By scikit-learn, told the whole range; also by its confusion matrix, as a bootstrap asks."""
    rng = np.random.default_rng(seed)
    y, labels = rng.integers(0, 4, (2, 30))
    grades, metric = np.array([-1, 0, 3, 4]), kappa_between([-1, 0, 3, 4])
    expected = sk.cohen_kappa_score(
        grades[y], grades[labels], labels=range(-1, 5), weights="quadratic"
    )
    assert metric.score(y, np.eye(4)[labels]) == pytest.approx(expected, abs=1e-12)
    assert metric.counted is not None
    assert metric.counted(confusion(y, labels, 4)) == pytest.approx(expected, abs=1e-12)
    assert metric.levels == (-1, 0, 3, 4)


def test_kappa_is_nought_where_chance_explains_all() -> None:
    assert kappa_of(np.diag([5.0, 0, 0])) == 0


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize(
    "metric", [m for task in METRICS for m in METRICS[task].values()], ids=lambda m: m.name
)
@given(seed=SEEDS)
def test_the_order_of_the_rows_does_not_matter(metric: Metric, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, probs = rows(seed)
    y[:4] = np.arange(4)
    if metric.task != "classification":
        y = np.vstack([np.eye(4), 1 - np.eye(4), rng.integers(0, 2, (4, 4))]).astype(np.int64)
    order = rng.permutation(12)
    again = metric.score(y[order], probs[order])
    assert again == pytest.approx(metric.score(y, probs), abs=1e-12)


EACH = [m for task in METRICS for m in METRICS[task].values() if m.each is not None]


@pytest.mark.parametrize("metric", EACH, ids=lambda m: m.name)
def test_a_score_is_the_mean_of_the_values_of_its_rows(metric: Metric) -> None:
    y, probs = rows(3)
    y = probs[::-1] if metric.task == "regression" else y
    y = np.eye(probs.shape[1], dtype=np.int64)[y] if metric.task == "multilabel" else y
    assert metric.each is not None
    values = metric.each(y, probs)
    assert values.shape == (12,)
    assert metric.score(y, probs) == pytest.approx(values.mean(), abs=1e-15)
    for row in range(12):
        assert metric.each(y[[row]], probs[[row]])[0] == pytest.approx(values[row], abs=1e-15)


GRADED = kappa_between([0, 1, 2, 9])
COUNTED = [m for m in (*METRICS["classification"].values(), GRADED) if m.counted is not None]


@pytest.mark.parametrize("metric", COUNTED, ids=lambda m: m.name)
def test_a_confusion_matrix_is_all_that_a_counted_metric_needs(metric: Metric) -> None:
    y, probs = rows(5)
    y[:4] = np.arange(4)
    assert metric.counted is not None
    counts = confusion(y, probs.argmax(1), 4)
    assert metric.counted(counts) == pytest.approx(metric.score(y, probs), abs=1e-15)


BY_LABEL = [m for m in METRICS["classification"].values() if m.by_label]


@pytest.mark.parametrize("metric", BY_LABEL, ids=lambda m: m.name)
def test_what_sees_labels_only_does_not_see_how_sure_they_are(metric: Metric) -> None:
    y, probs = rows(4)
    y[:4] = np.arange(4)
    sure = np.eye(4)[probs.argmax(1)]
    assert metric.score(y, sure) == pytest.approx(metric.score(y, probs), abs=1e-12)


@pytest.mark.parametrize("name", ["log_loss", "brier", "auc"])
def test_what_sees_probabilities_sees_how_sure_they_are(name: str) -> None:
    y, probs = rows(4)
    y[:4] = np.arange(4)
    metric = metric_of(name, "classification")
    assert not metric.by_label
    assert metric.score(y, np.eye(4)[probs.argmax(1)]) != metric.score(y, probs)


# ---- the best, the worst, and what is huge


@pytest.mark.parametrize("name", METRICS["classification"])
def test_the_truth_itself_has_the_best_score(name: str) -> None:
    y = np.array([0, 1, 2, 3, 2])
    best = 1.0 if metric_of(name, "classification").greater else 0.0
    score = metric_of(name, "classification").score(y, np.eye(4)[y])
    assert score == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "balanced_accuracy"])
def test_what_is_always_wrong_scores_nought(name: str) -> None:
    y = np.array([0, 1, 2, 3])
    assert metric_of(name, "classification").score(y, np.eye(4)[(y + 1) % 4]) == 0


def test_a_sure_error_costs_much_and_not_everything() -> None:
    found = metric_of("log_loss", "classification").score(np.array([0]), np.array([[0.0, 1.0]]))
    assert found == pytest.approx(-np.log(np.finfo(np.float64).eps))
    worst = metric_of("brier", "classification").score(np.array([0]), np.array([[0.0, 1.0]]))
    assert worst == 2


def test_a_guess_among_the_first_three_counts() -> None:
    score = metric_of("top_k", "classification").score
    probs = np.array([[0.4, 0.3, 0.2, 0.1]] * 4)
    assert score(np.arange(4), probs) == 0.75
    assert score(np.array([0, 1]), np.full((2, 2), 0.5)) == 1


def test_errors_of_a_regression_are_of_its_own_unit() -> None:
    y, values = np.array([[0.0], [0.0]]), np.array([[3e150], [-4e150]])
    assert metric_of("mae", "regression").score(y, values) == 3.5e150
    assert metric_of("rmse", "regression").score(y, values) == pytest.approx(12.5**0.5 * 1e150)


def test_a_label_is_predicted_from_a_half_on() -> None:
    y = np.array([[1], [0]])
    score = metric_of("f1", "multilabel").score
    assert score(y, np.array([[0.5], [0.4999]])) == 1
    assert score(y, np.array([[0.4999], [0.5]])) == 0


# ---- what is defined


@pytest.mark.parametrize("metric", METRICS["classification"])
def test_a_metric_is_defined_where_every_class_is_shown(metric: str) -> None:
    check_defined(np.array([0, 1, 2]), ("a", "b", "c"), "classification", metric)


@pytest.mark.parametrize("metric", ["f1", "map", "auc"])
def test_a_label_that_no_row_shows_is_named(metric: str) -> None:
    y = np.array([[1, 0], [0, 0]])
    with pytest.raises(UsageError, match=f"{metric} is not defined: no row .* is labelled fog. "):
        check_defined(y, ("rain", "fog"), "multilabel", metric)


def test_a_log_loss_needs_no_row_of_each_label() -> None:
    check_defined(np.array([[1, 0], [0, 0]]), ("rain", "fog"), "multilabel", "log_loss")


def test_a_regression_is_always_defined() -> None:
    check_defined(np.zeros((2, 1)), ("age",), "regression", "rmse")


def test_of_many_classes_that_nobody_shows_a_few_are_named() -> None:
    classes = tuple(f"c{n}" for n in range(100))
    with pytest.raises(
        UsageError, match="labelled c1, c2, c3, c4, c5 and 94 more. Give rows of every"
    ):
        check_defined(np.zeros(3, np.int64), classes, "classification", "auc")


@pytest.mark.parametrize("task", METRICS)
def test_each_task_lists_its_own_metrics(task: Task) -> None:
    with pytest.raises(UsageError) as caught:
        metric_of("f2", task)
    assert str(caught.value) == f"metric 'f2': for {task} there are {', '.join(METRICS[task])}"


def test_the_log_loss_of_labels_is_the_mean_of_each_labels_own() -> None:
    rng = np.random.default_rng(0)
    y, probs = rng.integers(0, 2, (50, 3)), rng.random((50, 3))
    expected = np.mean([sk.log_loss(y[:, c], probs[:, c]) for c in range(3)])
    metric = metric_of("log_loss", "multilabel")
    assert metric.score(y, probs) == pytest.approx(expected, abs=1e-12)
    assert metric.each is not None
    assert metric.each(y, probs).shape == (50,)
