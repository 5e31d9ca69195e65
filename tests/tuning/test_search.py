"""A search is never worse than its start, and gives the same each time."""

from dataclasses import replace

import numpy as np
import pytest
from blends import golden, many, tied

from ensemble.evaluation.metrics import metric_of
from ensemble.tuning.search import bagged_climb, coordinate_ascent
from ensemble.voting import pools


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro", "qwk", "auc"])
def test_an_ascent_is_never_worse_than_its_start(metric: str) -> None:
    stack, y = many(5, 300, 4)
    measured = metric_of(metric, "classification")
    start = np.full(5, 0.2)
    found = coordinate_ascent(stack, y, measured, start)
    before, after = (measured.score(y, pools.linear(stack, w)) for w in (start, found))
    assert after >= before
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def test_an_ascent_reaches_the_golden_accuracy() -> None:
    stack, y = golden()
    accuracy = metric_of("accuracy", "classification")
    found = coordinate_ascent(stack, y, accuracy, np.full(4, 0.25))
    assert accuracy.score(y, pools.linear(stack, found)) >= 0.877


def test_a_climb_raises_a_metric_that_nobody_knows() -> None:
    stack, y = golden()
    strange = replace(metric_of("brier", "classification"), name="strange")
    found = bagged_climb(stack, y, strange, np.full(4, 0.25))
    before, after = (strange.score(y, pools.linear(stack, w)) for w in (np.full(4, 0.25), found))
    assert after < before


def test_a_search_gives_the_same_each_time() -> None:
    stack, y = tied()
    accuracy = metric_of("accuracy", "classification")
    results = [coordinate_ascent(stack, y, accuracy, np.full(5, 0.2)) for _ in range(2)]
    np.testing.assert_array_equal(*results)
