"""Members' heads as rows of an early exit: classes by name, finer ones summed, values bare."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_toys import AGES, KINDS, LABELS, TURNS, head, label_map, value
from toys import toy_card

from ensemble.early_exit.columns import (
    Lift,
    Part,
    from_record,
    joint_vote,
    lift_of,
    read_map,
    to_record,
)
from ensemble.early_exit.stopping.joint_vote import JointColumn, JointVote
from ensemble.errors import StoreError
from ensemble.files.label_maps import read_label_map
from ensemble.members.card import Card, Head
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.weights import Weights

DECADES = tuple(str(age) for age in range(5, 90, 10))


def card(family: str, *heads: Head) -> Card:
    plain = toy_card(f"{family}-f0")
    return Card(plain.name, family, 0, "toy", plain.preprocess, heads)


CARDS = [
    card("joint", head("label", LABELS)),
    card("kinds", head("kind", KINDS[::-1])),
    card("tens", head("age", DECADES)),
    card("three", value("age"), head("kind", KINDS), head("turn", TURNS)),
]


def vote(folder: Path, weights: Weights | None = None, spread: str = "4") -> JointVote:
    declared = f"age = {{spread = {spread}}}" if spread else ""
    return joint_vote(CARDS, read_label_map(label_map(folder), declared), weights)


def test_the_columns_are_those_of_a_vote_in_the_order_of_their_names(tmp_path: Path) -> None:
    assert vote(tmp_path).columns == (
        JointColumn("joint", "joint", None),
        JointColumn("kinds", "kinds", "kind"),
        JointColumn("tens", "tens", "age", merged=3),
        JointColumn("three/age", "three", "age", value=True, spread=4.0),
        JointColumn("three/kind", "three", "kind"),
        JointColumn("three/turn", "three", "turn"),
    )


def test_a_tuned_spread_goes_before_a_declared_one(tmp_path: Path) -> None:
    found = read_label_map(label_map(tmp_path), "")
    names = [each.name for each in vote(tmp_path).columns]
    weights = Weights(
        dict.fromkeys(names, 1.0), pool="log-linear", joint=JointWeights(found, {"three/age": 7.0})
    )
    assert vote(tmp_path, weights).columns[3].spread == 7.0
    assert vote(tmp_path, spread="").columns[3].spread is None


def test_classes_are_put_in_order_and_finer_ones_summed(tmp_path: Path) -> None:
    shown = vote(tmp_path)
    rng = np.random.default_rng(0)
    kinds, tens = (rng.random((2, n), np.float32) for n in (3, 9))
    rows = lift_of(CARDS[1], shown).rows({"kind": kinds})
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows[:, 18:21], kinds[:, ::-1])
    assert not np.delete(rows, range(18, 21), 1).any()
    rows = lift_of(CARDS[2], shown).rows({"age": tens})
    np.testing.assert_allclose(rows[:, 21:24], tens.reshape(2, 3, 3).sum(2), rtol=1e-6)


def test_a_member_of_three_heads_fills_three_parts_and_a_value_stays_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scores = {name: rng.random((2, n), np.float32) for name, n in (("kind", 3), ("turn", 2))}
    scores["age"] = np.array([[41.0], [-3.0]], np.float32)
    lift = lift_of(CARDS[3], vote(tmp_path))
    assert lift.heads == ["age", "kind", "turn"]
    rows = lift.rows(scores)
    assert rows.shape == (2, 18 + 3 + 3 + 1 + 3 + 2)
    np.testing.assert_array_equal(
        rows[:, 24:], np.hstack([scores["age"], scores["kind"], scores["turn"]])
    )


def test_one_head_is_its_own_row() -> None:
    scores = np.eye(3, dtype=np.float32)
    assert Lift(3, (Part("label", 0),)).rows({"label": scores}) is scores


def test_columns_and_map_are_read_back_as_they_were_kept(tmp_path: Path) -> None:
    shown = vote(tmp_path)
    told = json.loads(json.dumps(to_record(shown)))
    assert from_record(told, shown.weights) == shown
    assert [task.classes for task in from_record(told, shown.weights).label_map.tasks] == [
        AGES, KINDS, TURNS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda told: told.pop("columns"), KeyError),
        (lambda told: told["columns"][0].update(value=3), TypeError),
        (lambda told: told["columns"][0].pop("name"), TypeError),
        (lambda told: told.update(label_map=[]), StoreError),
        (lambda told: told["label_map"].update(tasks={}), StoreError),
    ],
)
def test_a_record_that_is_none_of_columns_is_known(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], error: type[Exception]
) -> None:
    told = json.loads(json.dumps(to_record(vote(tmp_path))))
    change(told)
    with pytest.raises(error):
        from_record(told, Weights({}))


def test_a_label_map_that_is_none_is_told_of() -> None:
    with pytest.raises(StoreError, match="label map, label_map: expected an object"):
        read_map(None)
