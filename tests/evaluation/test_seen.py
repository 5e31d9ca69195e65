"""What a metric sees of predictions is enough to score them, whole, in parts and drawn."""

import numpy as np
import pytest
from blends import many

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError
from ensemble.evaluation.metrics import METRICS, Metric, Truth, metric_of
from ensemble.evaluation.seen import Seen, scorer

STACK, Y = many(3, 90, 4)
NAMES = sorted(METRICS["classification"])
TIMES = np.random.default_rng(9).integers(0, 3, 90)


def named(name: str) -> Metric:
    return metric_of(name, "classification")


@pytest.mark.parametrize("name", NAMES)
def test_it_scores_as_the_predictions_do(name: str) -> None:
    metric = named(name)
    assert Seen.of(metric, Y, STACK[0]).score(metric, Y) == metric.score(Y, STACK[0])


@pytest.mark.parametrize("name", NAMES)
def test_parts_by_slice_or_mask_make_up_the_whole(name: str) -> None:
    metric, rows = named(name), np.arange(90)
    whole = Seen.of(metric, Y, STACK[0])
    for places in ([slice(0, 31), slice(31, 90)], [rows % 2 == 0, rows % 2 == 1]):
        parts = [(place, Seen.of(metric, Y[place], STACK[0][place])) for place in places]
        np.testing.assert_array_equal(Seen.joined(parts, 90).rows, whole.rows)


@pytest.mark.parametrize(("name", "kind"), [("log_loss", "f8"), ("f1_macro", "i4")])
def test_of_a_mean_or_of_labels_it_is_one_number_a_row(name: str, kind: str) -> None:
    seen = Seen.of(named(name), Y, STACK[0])
    assert (seen.rows.shape, seen.rows.dtype, seen.classes) == ((90,), np.dtype(kind), 4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("times", [TIMES, (TIMES == 0).astype(np.int64), np.ones(90, np.int64)])
def test_rows_taken_several_times_count_as_copies_of_them(name: str, times: Indices) -> None:
    metric, rows = named(name), np.repeat(np.arange(90), times)
    found = scorer(metric, Y, [Seen.of(metric, Y, probs) for probs in STACK])(times)
    expected = [metric.score(Y[rows], probs[rows]) for probs in STACK]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_metric_of_ones_own_that_is_not_defined_has_no_number() -> None:
    def fussy(y: Truth, probs: Pooled) -> float:
        raise UsageError("never")

    metric = Metric("pkg:fussy", fussy, True, "classification")
    assert np.isnan(scorer(metric, Y, [Seen(STACK[0], 4)])(TIMES)).all()


def test_labels_of_other_tasks_are_seen_whole() -> None:
    y = (STACK[1] > 0.3).astype(np.int64)
    metric = metric_of("f1", "multilabel")
    seen = Seen.of(metric, y, STACK[0])
    np.testing.assert_array_equal(seen.rows, STACK[0])
    assert seen.score(metric, y) == metric.score(y, STACK[0])
