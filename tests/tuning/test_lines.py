"""The exact line search equals brute force over its breakpoints."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.arrays import Indices, Pooled
from ensemble.evaluation import metrics
from ensemble.tuning import lines

METRICS = [*lines.PATHS, "auc"]
Case = tuple[Indices, Pooled, Pooled]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rows of every class, and two predictions that often tie."""
    seed, classes = draw(st.integers(0, 10**6)), draw(st.integers(2, 4))
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, draw(st.integers(0, 12)))])
    digits = draw(st.sampled_from([1, 8]))
    start, end = (np.round(rng.random((len(y), classes)), digits) for _ in range(2))
    return y, start, end


def breakpoints(start: Pooled, end: Pooled, metric: str) -> list[float]:
    """Every place at which two classes of a row, or two rows of a class, cross."""
    if metric == "auc":
        start, end = start.T, end.T
    found = [0.0, 1.0]
    for a, b in zip(start, end, strict=True):
        before, after = a[:, None] - a, b[:, None] - b
        crossing = before * after < 0
        found += (before[crossing] / (before[crossing] - after[crossing])).tolist()
    return sorted(set(found))


@pytest.mark.parametrize("metric", METRICS)
@given(case=cases())
def test_the_best_stretch_equals_brute_force(metric: str, case: Case) -> None:
    y, start, end = case
    score = metrics.metric_of(metric, "classification").score
    marks = breakpoints(start, end, metric)
    middles = [(a + b) / 2 for a, b in itertools.pairwise(marks) if b - a > 1e-9]
    expected = max(score(y, start + m * (end - start)) for m in middles)
    place, found = lines.search(metric, y, start, end).best()
    assert found == pytest.approx(expected, abs=1e-12)
    assert score(y, start + place * (end - start)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(case=cases(), share=st.floats(0.001, 0.999))
def test_each_stretch_has_the_score_of_its_middle(metric: str, case: Case, share: float) -> None:
    y, start, end = case
    found = lines.search(metric, y, start, end)
    wide = np.flatnonzero(np.diff(found.ends) > 1e-9)
    chosen = wide[int(share * len(wide))]
    place = found.ends[chosen : chosen + 2].mean()
    score = metrics.metric_of(metric, "classification").score
    assert found.scores[chosen] == pytest.approx(score(y, start + place * (end - start)), abs=1e-12)


def test_a_line_without_a_change_is_one_stretch() -> None:
    y = np.array([0, 1])
    found = lines.search("accuracy", y, np.eye(2), np.eye(2))
    assert found.ends.tolist() == [0, 1]
    assert found.best() == (0.5, 1.0)


def test_many_pairs_are_searched_on_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y, start, end = rng.integers(0, 2, 200), rng.random((200, 2)), rng.random((200, 2))
    start[np.arange(200), y] += 0.2
    exact = lines.search("auc", y, start, end).best()[1]
    monkeypatch.setattr(lines, "MAX_PAIRS", 100)
    assert lines.search("auc", y, start, end).best()[1] == pytest.approx(exact, abs=0.01)
