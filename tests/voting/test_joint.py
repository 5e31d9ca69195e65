"""Votes on several tasks: soft, hard, and by weights."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.voting.joint import fuse_tasks
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.lift import TaskColumn
from ensemble.voting.vote import Fused
from ensemble.voting.weights import Weights

A, B = LabelTask("a", ("x", "y")), LabelTask("b", ("u", "v"))
PAIRS = LabelMap(("0", "1", "2", "3"), (A, B), (("x", "u"), ("x", "v"), ("y", "u"), ("y", "v")))


def column(name: str, task: str | None, *rows: list[float], family: str = "") -> TaskColumn:
    return TaskColumn(name, family or name, task, np.array(rows))


def random(task: str | None, name: str, seed: int, width: int = 2) -> TaskColumn:
    rows = np.random.default_rng(seed).dirichlet(np.ones(width), 30)
    return TaskColumn(name, name, task, rows)


COLUMNS = [random("a", "one", 1), random("b", "two", 2), random(None, "three", 3, 4)]


def fuse(columns: list[TaskColumn], weights: Weights | None = None) -> Fused:
    return fuse_tasks(columns, (), PAIRS, "soft", weights)


def hard(*voters: TaskColumn, label_map: LabelMap = PAIRS) -> Fused:
    shown = [replace(each, name=each.family) for each in voters]
    families = list({each.name: each for each in shown}.values())
    return fuse_tasks(families, voters, label_map, "hard", None)


def test_no_order_of_columns_changes_a_bit() -> None:
    expected = fuse(COLUMNS).probs
    for order in permutations(COLUMNS):
        assert np.array_equal(fuse(list(order)).probs, expected)


def test_weights_are_exponents_with_the_dependence_added() -> None:
    logs = np.array([0.3, -0.3, -0.3, 0.3])
    weights = Weights(
        {"one": 0.8, "two": 0.5, "three": 0.4},
        pool="log-linear",
        joint=JointWeights(PAIRS, {}, tuple(logs), 0.7),
    )
    a, b, joint = (each.probs for each in COLUMNS)
    scores = 0.8 * np.log(a)[:, [0, 0, 1, 1]] + 0.5 * np.log(b)[:, [0, 1, 0, 1]]
    scores = scores + 0.4 * np.log(joint) + 0.7 * logs
    expected: NDArray[np.float64] = np.exp(scores)
    expected /= expected.sum(1, keepdims=True)
    found = fuse(COLUMNS, weights)
    assert found.probs == pytest.approx(expected, abs=1e-12)
    assert found.labels.tolist() == expected.argmax(1).tolist()


def test_with_exponents_one_and_no_dependence_weights_give_the_product() -> None:
    ones = Weights({"one": 1.0, "two": 1.0}, pool="log-linear", joint=JointWeights(PAIRS))
    assert fuse(COLUMNS[:2], ones).probs == pytest.approx(fuse(COLUMNS[:2]).probs, abs=1e-12)


def test_weights_of_other_columns_are_refused() -> None:
    with pytest.raises(UsageError, match="no weight for three"):
        fuse(COLUMNS, Weights({"one": 1.0, "two": 1.0}, joint=JointWeights(PAIRS)))


def test_each_task_is_voted_on_and_the_map_says_the_label() -> None:
    found = hard(
        column("1", "a", [0.6, 0.4]), column("2", "a", [0.6, 0.4]), column("3", "a", [0.0, 1.0]),
        column("4", "b", [0.1, 0.9]),
    )  # fmt: skip
    assert found.labels.tolist() == [1]


def test_a_voter_of_the_label_votes_for_its_classes() -> None:
    found = hard(
        column("j", None, [0.0, 0.1, 0.5, 0.4]),
        column("k", None, [0.0, 0.1, 0.5, 0.4]),
        column("1", "a", [0.9, 0.1]),
        column("2", "b", [0.1, 0.9]),
    )
    assert found.labels.tolist() == [2]


def test_a_family_votes_as_one_however_many_folds_it_has() -> None:
    many = [column(f"big-f{n}", "a", [1.0, 0.0], family="big") for n in range(5)]
    two = [column(name, "a", [0.0, 1.0]) for name in ("one", "two")]
    found = hard(*many, *two, column("b", "b", [1.0, 0.0]))
    assert found.labels.tolist() == [2]


def test_classes_that_make_no_label_give_way_to_those_that_do() -> None:
    three = LabelMap(("0", "1", "2"), (A, B), PAIRS.rows[:3])
    found = hard(column("1", "a", [0.3, 0.7]), column("2", "b", [0.4, 0.6]), label_map=three)
    assert found.labels.tolist() == [2]  # (y, v) is none; (y, u) is likelier than (x, v)


@pytest.mark.parametrize(
    ("voting", "weights"), [("geometric", None), ("hard", Weights({"one": 1}))]
)
def test_votes_without_a_meaning_are_refused(voting: str, weights: Weights | None) -> None:
    with pytest.raises(UsageError, match="with a label map it is soft"):
        fuse_tasks(COLUMNS, (), PAIRS, voting, weights)  # type: ignore[arg-type]
