"""What members say of tasks, as nodes, is what `task_columns` makes of their predictions."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from packs import computed
from task_toys import AGES, KINDS, LABELS, TURNS, head, label_map, value

from ensemble.export.pack.columns import Column, family_columns, member_columns
from ensemble.files.label_maps import read_label_map
from ensemble.label_map import LabelMap
from ensemble.members.card import Card, Head
from ensemble.predictions import task_columns
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions
from ensemble.records import MemberId, Ordinal, Preprocess, Size
from ensemble.runtime.merges import Builder
from ensemble.voting.lift import TaskColumn

ROWS = 6
PRE = Preprocess(Size(8, 8), "squash", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
DECADES = tuple(str(age) for age in range(5, 90, 10))
Said = Mapping[tuple[str, str], NDArray[np.float32]]


def thresholds(ordinal: Ordinal) -> Head:
    return Head("age", "age", "multilabel", "sigmoid", AGES[1:], ordinal=ordinal)


def said_by(cards: list[Card]) -> Said:
    """What the heads of members give: probabilities, ages, or thresholds that fall."""
    rng = np.random.default_rng(5)
    found = {}
    for card in cards:
        for each in card.heads:
            scores = rng.random((ROWS, len(each.classes)))
            if each.task == "regression":
                scores = rng.uniform(20, 70, scores.shape)
                scores[0] = 30.0  # on a cut
            elif each.ordinal is None:
                scores /= scores.sum(1, keepdims=True)
            else:
                scores = -np.sort(-scores, axis=1)
            found[card.name, each.name] = scores.astype(np.float32)
    return found


def cards_of(heads: tuple[Head, ...], family: str = "ant", folds: int = 2) -> list[Card]:
    return [Card(f"{family}-f{n}", family, n, "toy", PRE, heads) for n in range(folds)]


def part_of(cards: list[Card], each: Head, said: Said) -> Predictions:
    ids = [MemberId(card.name, card.family, card.fold, card.name) for card in cards]
    return Predictions(
        ids=tuple(map(str, range(ROWS))),
        classes=each.classes,
        families={card.name: said[card.name, each.name] for card in cards},
        task=each.task,
        output=each.name,
        sources=tuple(RecordedMember(who, None) for who in ids),
        ordinal=each.ordinal,
    )


def check(expected: list[TaskColumn], found: list[Column], said: Said, build: Builder) -> None:
    """Compare columns with nodes that were collected by a builder."""
    assert [(e.name, e.family, e.task) for e in expected] == [
        (f.about.name, f.about.family, f.about.task) for f in found
    ]
    inputs = {"/".join(key): values for key, values in said.items()}
    for column, each in zip(expected, found, strict=True):

        def nodes(other: Builder, tensor: str = each.tensor) -> str:
            other.nodes.extend(build.nodes)
            other.constants.extend(build.constants)
            return tensor

        np.testing.assert_allclose(computed(nodes, inputs), column.probs, atol=1e-12)


@pytest.fixture
def joint(tmp_path: Path) -> LabelMap:
    return read_label_map(label_map(tmp_path), "age = {spread = 4}")


HEADS = {
    "classes in another order": (head("kind", KINDS[::-1]),),
    "finer classes": (head("age", DECADES),),
    "the label": (head("label", LABELS[::-1]),),
    "several": (value("age"), head("kind", KINDS), head("turn", TURNS)),
    "conditional thresholds": (thresholds("conditional"),),
    "cumulative thresholds": (thresholds("cumulative"),),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("spreads", [{}, {"ant/age": 2.5, "ant": 7.0}])
def test_families_say_what_their_predictions_say(
    name: str, spreads: dict[str, float], joint: LabelMap
) -> None:
    cards = cards_of(HEADS[name])
    said, build = said_by(cards), Builder(prefix="columns")
    given = {key: "/".join(key) for key in said}
    expected = task_columns.family_columns(
        [part_of(cards, each, said) for each in HEADS[name]], joint, spreads
    )
    check(expected, family_columns(build, cards, given, joint, spreads), said, build)


@pytest.mark.parametrize("name", HEADS)
def test_members_say_what_their_predictions_say_with_values_cut_hard(
    name: str, joint: LabelMap
) -> None:
    cards = cards_of(HEADS[name])
    said, build = said_by(cards), Builder(prefix="columns")
    given = {key: "/".join(key) for key in said}
    expected = task_columns.member_columns(
        [part_of(cards, each, said) for each in HEADS[name]], joint
    )
    check(expected, member_columns(build, cards, given, joint), said, build)


def test_folds_of_a_value_are_averaged_in_its_unit(joint: LabelMap) -> None:
    cards, build = cards_of((value("age"),)), Builder(prefix="columns")
    said = {(f"ant-f{n}", "age"): np.array([[age]], np.float32) for n, age in ((0, 25), (1, 65))}
    found = family_columns(build, cards, {k: "/".join(k) for k in said}, joint, {})
    expected = task_columns.value_probs(np.array([45.0]), (30, 60), 4)
    check([TaskColumn("ant", "ant", "age", expected)], found, said, build)


def test_cumulative_thresholds_that_rise_are_no_prediction(joint: LabelMap) -> None:
    cards, build = cards_of((thresholds("cumulative"),), folds=1), Builder(prefix="columns")
    given = {("ant-f0", "age"): "given"}
    (found,) = family_columns(build, cards, given, joint, {})

    def nodes(other: Builder) -> str:
        other.nodes.extend(build.nodes)
        other.constants.extend(build.constants)
        return found.tensor

    rows = computed(nodes, {"given": np.array([[0.2, 0.7], [0.7, 0.2]], np.float32)})
    assert np.isnan(rows[0].astype(float)).any()
    np.testing.assert_allclose(rows[1].astype(float), [0.3, 0.5, 0.2], atol=1e-7)
