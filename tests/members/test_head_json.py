"""Heads are read with every field checked: boxes, thresholds, classes, activations."""

import re

import pytest

from ensemble.errors import EnsembleError, MemberError
from ensemble.files.fields import fields_of
from ensemble.members.card import BoxOutput, Head
from ensemble.members.head_json import read_head


def fault(name: str, expected: str, found: object) -> EnsembleError:
    return MemberError(f"{name}: expected {expected}, found {found!r}")


def read(record: dict[str, object]) -> Head:
    return read_head(fields_of(record, "head", fault))


def finder() -> dict[str, object]:
    boxes = {"scores": "scores", "count": 7, "scale": "unit"}
    return {"name": "face", "output": "boxes", "task": "boxes", "activation": "none",
            "classes": ["face"], "boxes": boxes}  # fmt: skip


def ranks() -> dict[str, object]:
    return {"name": "age", "output": "age", "task": "multilabel", "activation": "sigmoid",
            "classes": ["30-59", ">=60"], "ordinal": "conditional"}  # fmt: skip


def test_a_head_of_boxes_says_its_scores_how_many_and_their_scale() -> None:
    assert read(finder()) == Head(
        "face", "boxes", "boxes", "none", ("face",), BoxOutput("scores", 7, "unit")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": None}, "boxes: expected an object, found None"),
        ({"task": "regression"}, "boxes: expected none, unless the task is boxes"),
        ({"classes": ["a", "b"]}, "classes: expected one, what the boxes hold"),
        ({"activation": "sigmoid"}, "activation: expected one that suits boxes"),
        ({"boxes": {"scores": "s", "count": 0, "scale": "unit"}}, "boxes.count:"),
        ({"boxes": {"scores": "s", "count": 1, "scale": "cm"}}, "expected one of pixels, unit"),
        ({"boxes": {"scores": "s", "count": 1, "scale": "unit", "x": 1}}, "no such field"),
    ],
)
def test_a_wrong_field_of_a_head_of_boxes_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(MemberError, match=re.escape(message)):
        read(finder() | change)


def test_thresholds_are_said_of_multilabel_heads_alone() -> None:
    assert read(ranks()).ordinal == "conditional"
    plain = ranks() | {"task": "classification", "activation": "softmax"}
    with pytest.raises(MemberError, match="ordinal: expected thresholds, of a multilabel head"):
        read(plain)
    with pytest.raises(MemberError, match="one of conditional, cumulative"):
        read(ranks() | {"ordinal": "rising"})


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "classes: expected a list of names"),
        (["a", 7], "classes: expected a list of names"),
        (["a", "b\n"], "classes: expected a list of names without control characters"),
        (["a", "b", "a"], "classes: expected names that differ, found ['a']"),
    ],
)
def test_classes_are_names_that_differ(classes: list[object], message: str) -> None:
    with pytest.raises(MemberError, match=re.escape(message)):
        read(ranks() | {"classes": classes})
