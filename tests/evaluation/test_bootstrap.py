"""The bootstrap: its intervals hold the truth, and no draw lacks a class."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.evaluation import bootstrap as resample
from ensemble.evaluation.bootstrap import LEAST_UNITS, spread
from ensemble.evaluation.metrics import Metric, Truth, metric_of

RNG = np.random.default_rng(0)


def watched(name: str, seen: list[Truth], *, multilabel: bool = False) -> Metric:
    """A metric of that name that keeps the truth of each draw, and answers its mean."""

    def score(y: Truth, _: NDArray[np.float64]) -> float:
        seen.append(y)
        return float(y.mean())

    return Metric(name, score, True, "multilabel" if multilabel else "classification")


def rare(rows: int = 60, classes: int = 10) -> NDArray[np.int64]:
    """Labels of one common class, and six rows of each other."""
    return np.append(np.repeat(np.arange(1, classes), 6), np.zeros(rows, np.int64))


def test_the_interval_of_a_mean_is_about_two_errors_wide() -> None:
    y = RNG.integers(0, 2, 400)
    probs = np.eye(2)[np.where(RNG.random(400) < 0.8, y, 1 - y)]
    found = spread(metric_of("accuracy", "classification"), y, [probs])
    error = np.sqrt(found.value * (1 - found.value) / 400)
    assert found.interval is not None
    assert found.interval == pytest.approx(
        (found.value - 1.96 * error, found.value + 1.96 * error), abs=0.2 * error
    )
    assert found.error == pytest.approx(error, rel=0.1)


def test_a_mean_is_resampled_as_if_it_were_computed_anew() -> None:
    y, groups = RNG.integers(0, 3, 90), RNG.integers(0, 30, 90)
    first, second = RNG.dirichlet(np.ones(3), (2, 90))
    metric = metric_of("log_loss", "classification")
    anew = Metric(metric.name, metric.score, metric.greater, metric.task)
    quick, slow = (spread(m, y, [first, second], groups) for m in (metric, anew))
    assert quick.error == pytest.approx(slow.error, abs=1e-12)
    assert quick.interval is not None
    assert slow.interval is not None
    moved = np.array(quick.interval) - slow.interval  # by the bias of the draws, which a mean lacks
    assert moved[0] == pytest.approx(moved[1], abs=1e-12)
    assert abs(moved[0]) < 0.1 * slow.error


def test_no_draw_lacks_a_class() -> None:
    seen: list[Truth] = []
    y = rare()
    spread(watched("f1_macro", seen), y, [np.eye(10)[y]])
    assert all((np.bincount(each, minlength=10) > 0).all() for each in seen)
    assert len({each.tobytes() for each in seen}) > 900


def test_no_draw_of_groups_lacks_a_class_and_groups_stay_whole() -> None:
    seen: list[Truth] = []
    y = np.repeat(rare(), 3)  # every third row begins a group
    spread(watched("auc", seen), y, [np.eye(10)[y]], np.repeat(np.arange(len(y) // 3)[::-1], 3))
    for each in seen:
        assert (np.bincount(each, minlength=10) > 0).all()
        assert (each.reshape(-1, 3) == each[::3, None]).all()


@pytest.mark.parametrize("name", ["f1", "auc", "map"])
def test_no_draw_lacks_a_label_nor_an_area_its_other_side(name: str) -> None:
    seen: list[Truth] = []
    y = np.zeros((80, 12), np.int64)
    for label in range(12):
        y[6 * label : 6 * label + 6, label] = 1
    y[:, 11] = 1 - y[:, 10]
    spread(watched(name, seen, multilabel=True), y, [y.astype(np.float64)])
    assert all((each == 1).any(0).all() for each in seen)
    assert name != "auc" or all((each == 0).any(0).all() for each in seen)


@pytest.mark.parametrize("name", ["f1_macro", "balanced_accuracy", "auc"])
def test_a_class_of_few_rows_has_an_error_but_no_interval(name: str) -> None:
    y = np.append(np.zeros(40, np.int64), np.ones(LEAST_UNITS - 1, np.int64))
    probs = RNG.dirichlet(np.ones(2), len(y))
    metric = metric_of(name, "classification")
    found = spread(metric, y, [probs])
    assert (found.interval, found.p) == (None, None)
    assert found.error is not None
    assert spread(metric, np.append(y, 1), [np.vstack([probs, probs[:1]])]).interval is not None


def test_a_class_in_few_groups_has_no_interval_however_many_rows_they_have() -> None:
    y = np.arange(200) % 2
    groups = np.where(y == 1, y, np.arange(200) + 2)
    probs = RNG.dirichlet(np.ones(2), 200)
    metric = metric_of("f1_macro", "classification")
    assert spread(metric, y, [probs], groups).interval is None
    assert spread(metric, y, [probs]).interval is not None


def test_a_metric_that_is_defined_on_hardly_a_draw_has_no_error() -> None:
    y = RNG.integers(0, 2, 50)
    whole = Metric("my:own", lambda y, _: 1.0 if len(np.unique(y)) > 9 else np.nan, True,
                   "classification")  # fmt: skip
    found = spread(whole, y, [np.eye(2)[y]])
    assert (found.interval, found.error, found.p) == (None, None, None)


def test_equal_predictions_gain_nothing() -> None:
    y = rare()
    probs = RNG.dirichlet(np.ones(10), len(y))
    for name in ("f1_macro", "log_loss"):
        found = spread(metric_of(name, "classification"), y, [probs, probs.copy()])
        assert (found.value, found.interval, found.error, found.p) == (0, (0, 0), 0, 1)


def test_the_interval_of_f1_holds_the_truth_with_rare_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred classes of five rows: the F1 of so few rows lies under that of many."""
    monkeypatch.setattr(resample, "_DRAWS", 200)
    rng, classes, held = np.random.default_rng(3), 100, []
    metric, y = metric_of("f1_macro", "classification"), np.repeat(np.arange(100), 5)
    for _ in range(60):
        table = rng.dirichlet(np.ones(classes) * 0.3, classes) / 2
        table += np.diag(rng.uniform(0.2, 2, classes))
        table /= table.sum(1, keepdims=True)
        said = (rng.random(len(y))[:, None] > table.cumsum(1)[y]).sum(1).clip(0, classes - 1)
        truth = np.mean(2 * np.diag(table) / (table.sum(0) + 1))
        found = spread(metric, y, [np.eye(classes)[said]])
        assert found.interval is not None
        ends = (found.interval[0], found.value, found.interval[1])
        assert all(a < b for a, b in pairwise(ends))
        held.append(found.interval[0] <= truth <= found.interval[1])
    assert np.mean(held) > 0.85
