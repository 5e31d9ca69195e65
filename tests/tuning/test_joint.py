"""The lifted pool: one convex problem over labels, and what competes with it."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

from ensemble.arrays import Indices
from ensemble.evaluation.metrics import metric_of
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.tuning import joint
from ensemble.tuning.fit import ridge_of
from ensemble.voting.lift import JOINT, TaskColumn, class_places, dependence, groups_of, lifted

A, B = LabelTask("a", ("x", "y")), LabelTask("b", ("<0", ">=0"), (0.0,))
PAIRS = LabelMap(
    ("0", "1", "2", "3"), (A, B), (("x", "<0"), ("x", ">=0"), ("y", "<0"), ("y", ">=0"))
)
LOSS = metric_of("log_loss", "classification")
SHARES = np.array([0.45, 0.1, 0.1, 0.35])


def world(rows: int = 400, seed: int = 0) -> tuple[list[TaskColumn], Indices]:
    """Families that know something of tasks which depend on each other."""
    rng = np.random.default_rng(seed)
    y = rng.choice(4, rows, p=SHARES)
    places = class_places(PAIRS)

    def knows(truth: NDArray[np.int64], classes: int, how: float) -> NDArray[np.float64]:
        scores = how * np.eye(classes)[truth] + rng.normal(0, 1, (rows, classes))
        shares = np.exp(scores)
        return np.asarray(shares / shares.sum(1, keepdims=True))

    values = rng.normal(0, 1.5, rows) + np.where(places[y, 1], 2.0, -2.0)
    hard = np.eye(2)[(values >= 0).astype(int)]
    return [
        TaskColumn("all", "all", None, knows(y, 4, 1.0)),
        TaskColumn("one", "one", "a", knows(places[y, 0], 2, 1.5)),
        TaskColumn("two", "two", "a", knows(places[y, 0], 2, 0.5)),
        TaskColumn("years", "years", "b", hard, values),
    ], y


def loss(
    point: NDArray[np.float64], stack: NDArray[np.float64], y: Indices, logs: NDArray[np.float64]
) -> float:
    scores = np.tensordot(point[:-1], np.log(np.maximum(stack, np.exp(-14))), 1) + point[-1] * logs
    scores = scores - scores.max(1, keepdims=True)
    own = scores[np.arange(len(y)), y] - np.log(np.exp(scores).sum(1))
    away = point[:-1] - point[:-1].mean()
    return float(-own.mean() + ridge_of(len(y)) * (away @ away + point[-1] ** 2))


def test_the_pool_is_the_optimum_of_the_problem_with_its_dependence() -> None:
    columns, y = world()
    stack, places = lifted(columns, PAIRS), class_places(PAIRS)
    found = joint.lifted_pool(stack, y, groups_of(columns, PAIRS), places)
    logs = dependence(joint.label_shares(y, 4), places)
    start = np.append(np.full(4, 0.25), 0.0)
    best = minimize(loss, start, args=(stack, y, logs), bounds=[(0, None)] * 5, tol=1e-12)
    point = np.append(found.weights, found.rho)
    assert loss(point, stack, y, logs) == pytest.approx(best.fun, abs=1e-7)
    assert point == pytest.approx(best.x, abs=2e-3)
    assert found.rho > 0.1


def test_columns_of_the_label_alone_have_no_dependence() -> None:
    columns, y = world()
    stack = lifted(columns[:1], PAIRS)
    found = joint.lifted_pool(stack, y, (JOINT,), class_places(PAIRS))
    assert found.dependence is None


def test_the_best_alone_is_a_family_of_the_label_or_one_of_each_task() -> None:
    columns, y = world(2000)
    stack, groups = lifted(columns, PAIRS), groups_of(columns, PAIRS)
    found = joint.best_alone(stack, y, LOSS, groups, class_places(PAIRS))
    alone = LOSS.score(y, columns[0].probs)
    product = LOSS.score(y, found.probs(stack))
    assert product <= alone
    assert joint.named_alone(found, columns) in ("all", "one + years")


def test_label_shares_leave_no_label_without_any() -> None:
    found = joint.label_shares(np.array([0, 0, 1]), 4)
    assert found == pytest.approx(np.array([2.5, 1.5, 0.5, 0.5]) / 5)


def test_the_spread_is_the_likeliest() -> None:
    rng = np.random.default_rng(3)
    truth = rng.uniform(0, 90, 4000)
    values = truth + rng.normal(0, 6.0, 4000)
    y = np.digitize(truth, (30.0, 60.0))
    found = joint.spread_of(values, y, (30.0, 60.0))
    assert found == pytest.approx(6.0, rel=0.1)

    def likelihood(spread: float) -> float:
        ends = np.array([-np.inf, 30.0, 60.0, np.inf])
        inside = norm.cdf((ends[y + 1] - values) / spread) - norm.cdf((ends[y] - values) / spread)
        return float(np.log(np.maximum(inside, 1e-300)).sum())

    assert likelihood(found) >= max(likelihood(found * 1.02), likelihood(found / 1.02))


def test_a_rows_own_label_is_not_in_its_spread() -> None:
    columns, y = world()
    folds = np.arange(len(y)) % 2
    found, spreads = joint.with_spreads(columns, PAIRS, y, folds)
    flipped = y.copy()
    flipped[folds == 0] = 3 - flipped[folds == 0]
    others, _ = joint.with_spreads(columns, PAIRS, flipped, folds)
    rows = folds == 0
    assert np.array_equal(found[3].probs[rows], others[3].probs[rows])
    assert not np.array_equal(found[3].probs[~rows], others[3].probs[~rows])
    assert set(spreads) == {"years"}


def test_a_declared_spread_is_kept() -> None:
    columns, y = world()
    told = LabelMap(PAIRS.labels, (A, LabelTask("b", B.classes, B.cuts, 1.25)), PAIRS.rows)
    _, spreads = joint.with_spreads(columns, told, y, None)
    assert spreads == {"years": 1.25}


def test_no_order_of_columns_changes_the_pool() -> None:
    columns, y = world(100)
    expected = None
    for order in permutations(columns):
        ordered = sorted(order, key=lambda each: each.name)
        found = joint.lifted_pool(
            lifted(ordered, PAIRS), y, groups_of(ordered, PAIRS), class_places(PAIRS)
        )
        expected = expected or found.weights.tolist()
        assert found.weights.tolist() == expected


def test_the_product_of_means_the_best_alone_and_the_pool_compete() -> None:
    columns, y = world()
    rivals = joint.joint_rivals(columns, PAIRS, LOSS)
    assert [way.name for way in rivals.ways] == ["mean", "best", "log-linear"]
    stack = lifted(columns, PAIRS)
    scores = [LOSS.score(y, blend.predicted(stack)) for blend in rivals.fits(stack, y, rivals.ways)]
    assert scores[2] == min(scores)


def test_one_absurd_value_moves_no_spread() -> None:
    rng = np.random.default_rng(3)
    truth = rng.uniform(0, 90, 1000)
    values = truth + rng.normal(0, 5.0, 1000)
    y = np.digitize(truth, (30.0, 60.0))
    plain = joint.spread_of(values, y, (30.0, 60.0))
    values[int(truth.argmax())] = 1e9
    assert joint.spread_of(values, y, (30.0, 60.0)) == pytest.approx(plain, rel=1e-3)
    values[int(truth.argmin())] = 1e9
    assert joint.spread_of(values, y, (30.0, 60.0)) < 3 * plain
