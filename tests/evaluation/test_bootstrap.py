"""The bootstrap: its intervals hold the truth, and no draw lacks a class."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.evaluation import bootstrap
from ensemble.evaluation.bootstrap import LEAST_UNITS, draw_scores, spread
from ensemble.evaluation.metrics import Metric, Truth, kappa_between, metric_of
from ensemble.evaluation.seen import Seen

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
    monkeypatch.setattr(bootstrap, "_DRAWS", 200)
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


# ---- draws


def draws_of(
    y: Truth, groups: NDArray[np.int64] | None = None, name: str = "accuracy"
) -> list[Truth]:
    """The truth of each draw, the first being the truth itself."""
    seen: list[Truth] = []
    spread(watched(name, seen), y, [np.eye(int(y.max()) + 1)[y]], groups)
    return seen


def test_the_score_itself_is_that_of_all_rows() -> None:
    y = rare()
    assert (draws_of(y)[0] == y).all()


def test_the_same_rows_have_the_same_draws() -> None:
    y = np.arange(40)
    first, second = draws_of(y), draws_of(y)
    assert len(first) == len(second) > 200
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_as_many_rows_are_drawn_as_there_are() -> None:
    assert {len(each) for each in draws_of(np.arange(40))} == {40}


def test_every_row_is_drawn_about_as_often() -> None:
    drawn = np.bincount(np.concatenate(draws_of(np.arange(30))[1:]), minlength=30)
    assert drawn.sum() == 30 * 1000
    assert abs(drawn - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("names", [[5, 5, 9, 9, 9, -1], [0, 1, 0, 1, 0, 1], [3] * 6])
def test_a_group_is_drawn_whole_whatever_it_is_called(names: list[int]) -> None:
    groups = np.array(names)
    for each in draws_of(np.arange(6), groups)[1:50]:
        counts = np.bincount(each, minlength=6)
        for name in set(names):
            assert len(set(counts[groups == name])) == 1


def test_groups_of_one_row_are_rows() -> None:
    y = np.arange(25)
    alone = draws_of(y, np.arange(25))
    assert all((a == b).all() for a, b in zip(alone, draws_of(y), strict=True))


def test_large_predictions_are_drawn_less_often() -> None:
    seen: list[Truth] = []
    y = np.arange(400) % 2
    spread(watched("accuracy", seen), y, [np.zeros((400, 500))])
    assert len(seen) == 1 + 200


# ---- gains


def right_on(y: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """Predictions that are right on the first rows."""
    return np.eye(2)[np.where(np.arange(len(y)) < share * len(y), y, 1 - y)]


def test_a_gain_turns_its_sign_with_the_order_of_the_two() -> None:
    y = np.arange(200) % 2
    metric = metric_of("accuracy", "classification")
    better, worse = right_on(y, 0.8), right_on(y, 0.7)
    gain, loss = spread(metric, y, [better, worse]), spread(metric, y, [worse, better])
    assert gain.value == -loss.value == pytest.approx(0.1)
    assert gain.interval is not None
    assert loss.interval is not None
    assert gain.interval == pytest.approx((-loss.interval[1], -loss.interval[0]))
    assert (gain.p, gain.error) == (loss.p, pytest.approx(loss.error))


def test_a_smaller_loss_is_a_gain() -> None:
    y = np.arange(200) % 2
    sure, unsure = (np.eye(2)[y] * s + (1 - s) / 2 for s in (0.9, 0.5))
    found = spread(metric_of("log_loss", "classification"), y, [sure, unsure])
    assert found.value > 0
    assert found.interval is not None
    assert found.interval[0] > 0


@pytest.mark.parametrize(("share", "sure"), [(0.9, True), (0.71, False)])
def test_a_clear_gain_is_told_from_one_by_chance(share: float, sure: bool) -> None:
    y = np.arange(300) % 2
    metric = metric_of("accuracy", "classification")
    found = spread(metric, y, [right_on(y, share), right_on(y[::-1], 0.7)[::-1]])
    assert found.p is not None
    assert (found.p < 0.01) == sure


def test_no_p_is_nought_and_none_is_above_one() -> None:
    y = np.arange(100) % 2
    metric = metric_of("accuracy", "classification")
    for share in (0.0, 0.5, 1.0):
        p = spread(metric, y, [right_on(y, share), right_on(y, 0.5)]).p
        assert p is not None
        assert 1 / 1000 <= p <= 1


def test_more_rows_have_a_smaller_error() -> None:
    metric = metric_of("brier", "classification")
    errors = []
    for rows in (50, 500, 5000):
        y = np.arange(rows) % 2
        errors.append(spread(metric, y, [right_on(y, 0.8)]).error)
    assert errors == sorted(errors, reverse=True)  # type: ignore[type-var]


def test_rows_that_belong_together_tell_less() -> None:
    y = np.repeat(np.arange(40) % 2, 10)
    metric = metric_of("accuracy", "classification")
    alone = spread(metric, y, [right_on(y, 0.7)]).error
    grouped = spread(metric, y, [right_on(y, 0.7)], np.repeat(np.arange(40), 10)).error
    assert alone is not None
    assert grouped is not None
    assert grouped > 2 * alone


def test_one_row_moves_nowhere() -> None:
    found = spread(metric_of("accuracy", "classification"), np.array([1]), [np.array([[0.2, 0.8]])])
    assert (found.value, found.interval, found.error) == (1, (1, 1), 0)


def test_a_regression_has_an_interval_about_its_score() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(80, 2))
    for name in ("rmse", "mae"):
        found = spread(metric_of(name, "regression"), y, [y + rng.normal(size=(80, 2))])
        assert found.interval is not None
        assert found.interval[0] < found.value < found.interval[1]


# ---- draws, and the rows that they leave out

ALL = [metric_of(n, t) for n, t in [
    ("accuracy", "classification"), ("f1_macro", "classification"), ("qwk", "classification"),
    ("balanced_accuracy", "classification"), ("log_loss", "classification"),
    ("auc", "classification"), ("rmse", "regression"), ("f1", "multilabel")]]  # fmt: skip


@pytest.mark.parametrize("metric", ALL, ids=lambda m: f"{m.task}-{m.name}")
def test_draws_score_the_rows_drawn_and_those_left_out(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    probs = rng.dirichlet(np.ones(3), (2, 90))
    y: Truth = np.arange(90) % 3
    if metric.task != "classification":
        y = (rng.random((90, 3)) < 0.5).astype(np.float64)
    drawn: list[NDArray[np.int64]] = []
    rows = bootstrap._Units.draws

    def kept(units: object, number: int) -> object:
        for each, generator in rows(units, number):  # type: ignore[arg-type]
            drawn.append(each)
            yield each, generator

    monkeypatch.setattr(bootstrap._Units, "draws", kept)
    found = draw_scores(metric, y, [Seen.of(metric, y, each) for each in probs])
    assert len(found.drawn) == len(drawn)
    for place in (0, 7):
        taken, left = drawn[place], np.setdiff1d(np.arange(90), drawn[place])
        for k in range(2):
            score = metric.score(y[taken], probs[k][taken])
            assert found.drawn[place, k] == pytest.approx(score)
            assert found.left[place, k] == pytest.approx(metric.score(y[left], probs[k][left]))


def test_a_group_is_drawn_or_left_out_whole() -> None:
    y, groups = np.zeros(40, np.int64), np.repeat(np.arange(4), 10)
    probs = np.eye(2)[(groups == 3).astype(np.int64)]  # the fourth group is wrong, as one
    accuracy = metric_of("accuracy", "classification")
    found = draw_scores(accuracy, y, [Seen.of(accuracy, y, probs)], groups)
    assert set(np.round(found.drawn[:, 0] * 4, 6)) <= {0, 1, 2, 3, 4}
    seen = found.left[np.isfinite(found.left[:, 0]), 0]
    assert {1.0, 0.0} <= set(np.round(seen, 6))


def test_a_metric_of_ones_own_may_fail_on_a_draw() -> None:
    def fussy(y: Truth, probs: NDArray[np.float64]) -> float:
        if not probs[0, 0]:
            raise UsageError("it begins with nought")
        return 1.0

    probs = np.ones((20, 2))
    probs[0, 0] = 0
    metric = Metric("pkg:fussy", fussy, True, "classification")
    found = draw_scores(metric, np.zeros(20, np.int64), [Seen(probs, 2)])
    assert 0 < len(found.drawn) < 1000
    assert (found.drawn == 1).all()


def test_an_interval_is_of_the_draws_on_which_a_metric_of_ones_own_does_not_fail() -> None:
    def fussy(y: Truth, probs: NDArray[np.float64]) -> float:
        if len(np.unique(y)) < 2:
            raise UsageError("one class alone")
        return float(np.mean(y))

    y = np.array([0, 1, 1, 1])
    found = spread(Metric("pkg:fussy", fussy, True, "classification"), y, [np.eye(2)[y]])
    assert found.interval is not None
    assert 0.2 < found.interval[0] < found.interval[1] < 1


@pytest.mark.parametrize("metric", [metric_of("f1_macro", "classification"),
                                    metric_of("qwk", "classification"),
                                    kappa_between([0, 1, 2, 9])])  # fmt: skip
def test_a_confusion_matrix_is_resampled_as_if_it_were_counted_anew(metric: Metric) -> None:
    rng = np.random.default_rng(5)
    y, groups = rng.integers(0, 4, 120), rng.integers(0, 60, 120)
    first, second = rng.dirichlet(np.ones(4), (2, 120))
    anew = replace(metric, counted=None)
    quick, slow = (spread(m, y, [first, second], groups) for m in (metric, anew))
    assert quick.interval == pytest.approx(slow.interval, abs=1e-12)
    assert (quick.error, quick.p) == (pytest.approx(slow.error, abs=1e-12), slow.p)


def test_draws_say_where_a_class_is_rare() -> None:
    y = np.append(np.zeros(50, np.int64), [1, 1])
    probs = np.eye(2)[y]
    f1 = metric_of("f1_macro", "classification")
    seen = [Seen.of(f1, y, probs)]
    assert draw_scores(f1, y, seen).rare
    assert not draw_scores(f1, np.arange(52) % 2, seen).rare


def test_a_few_groups_have_an_error_but_no_interval() -> None:
    """Of one group every draw is the same, which is no certainty."""
    y, probs = np.array([0, 1] * 20), np.eye(2)[[0, 1, 1, 1] * 10]
    for count, known in ((1, False), (4, False), (5, True)):
        groups = np.arange(40) % count
        found = spread(metric_of("accuracy", "classification"), y, [probs], groups)
        assert (found.interval is not None) == known
        assert found.error is not None
        qwk = metric_of("qwk", "classification")
        draws = draw_scores(qwk, y, [Seen.of(qwk, y, probs)], groups)
        assert draws.rare != known
