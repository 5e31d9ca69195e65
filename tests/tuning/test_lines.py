"""The exact line search equals brute force over its breakpoints."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from walks import Case, cases

from ensemble.arrays import Pooled
from ensemble.evaluation import metrics
from ensemble.tuning import lines

METRICS = [*lines.PATHS, "auc"]


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


@given(case=cases())
def test_a_kappa_of_grades_with_a_gap_is_followed_by_their_numbers(case: Case) -> None:
    y, start, end = case
    levels = [0, 1, 5, 6][: start.shape[1]]
    score = metrics.kappa_between(levels).score
    found = lines.search("qwk", y, start, end, levels)
    for place, (before, after) in enumerate(itertools.pairwise(found.ends)):
        if after - before > 1e-9:
            middle = score(y, start + (before + after) / 2 * (end - start))
            assert found.scores[place] == pytest.approx(middle, abs=1e-12)


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


@pytest.mark.parametrize("metric", METRICS)
@given(case=cases())
def test_a_line_walked_backwards_has_the_same_best(metric: str, case: Case) -> None:
    y, start, end = case
    forth, back = (
        lines.search(metric, y, *ends).best()[1] for ends in ((start, end), (end, start))
    )
    assert forth == pytest.approx(back, abs=1e-12)


@given(case=cases(), data=st.data())
def test_the_order_of_the_rows_does_not_matter(case: Case, data: st.DataObject) -> None:
    y, start, end = case
    order = np.array(data.draw(st.permutations(range(len(y)))))
    one, other = (lines.search("accuracy", *part)
                  for part in ((y, start, end), (y[order], start[order], end[order])))  # fmt: skip
    np.testing.assert_allclose(one.ends, other.ends, atol=1e-15)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(case=cases())
def test_the_ends_go_from_0_to_1_with_a_score_between_each_two(metric: str, case: Case) -> None:
    found = lines.search(metric, *case)
    assert (found.ends[0], found.ends[-1]) == (0, 1)
    assert (np.diff(found.ends) >= 0).all()
    assert len(found.scores) == len(found.ends) - 1


def test_of_stretches_that_are_equally_good_the_widest_wins_and_then_the_first() -> None:
    ends = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    assert lines.Stretches(ends, np.array([1.0, 3.0, 3.0, 1.0])).best() == (0.375, 3.0)
    wider = np.array([0.0, 0.2, 0.4, 0.9, 1.0])
    assert lines.Stretches(wider, np.array([1.0, 3.0, 3.0, 1.0])).best() == (0.65, 3.0)


def test_a_stretch_without_a_width_is_never_the_best() -> None:
    ends = np.array([0.0, 0.5, 0.5, 1.0])
    assert lines.Stretches(ends, np.array([1.0, 9.0, 2.0])).best() == (0.75, 2.0)


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 5)), min_size=1, max_size=9),
)
def test_a_weighted_median_is_that_of_repeated_values(pairs: list[tuple[int, int]]) -> None:
    repeated = sorted(v for v, times in pairs for _ in range(times))
    values, weights = (np.array(part, np.float64) for part in zip(*pairs, strict=True))
    assert lines._median(values, weights) == repeated[(len(repeated) - 1) // 2]


def test_predictions_that_are_alike_leave_the_share_at_0() -> None:
    same = np.ones((4, 1))
    assert lines.best_share("mae", np.zeros((4, 1)), same, same) == 0.0


@pytest.mark.parametrize(("target", "share"), [(-3.0, 0.0), (0.25, 0.25), (9.0, 1.0)])
def test_a_share_of_the_absolute_error_is_cut_to_0_and_1(target: float, share: float) -> None:
    start, end = np.zeros((3, 1)), np.ones((3, 1))
    assert lines.best_share("mae", np.full((3, 1), target), start, end) == share
