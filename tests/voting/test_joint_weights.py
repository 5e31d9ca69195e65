"""What weights of several tasks carry, as JSON."""

import json
from dataclasses import replace

import pytest

from ensemble.errors import UsageError
from ensemble.files.fields import fields_of
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.voting.joint_weights import JointWeights, from_record, to_record

AGE, MASK = LabelTask("age", ("<30", ">=30"), (30.0,)), LabelTask("mask", ("off", "on"))
ROWS = tuple((a, m) for a in AGE.classes for m in MASK.classes)
WEIGHTS = JointWeights(
    LabelMap(tuple("0123"), (AGE, MASK), ROWS), {"net/age": 4.5}, (0.1, -0.2, 0.3, -0.4), 0.7
)


def read(record: dict[str, object]) -> JointWeights:
    def fault(name: str, expected: str, found: object) -> UsageError:
        return UsageError(f"{name}: expected {expected}, found {found}")

    return from_record(fields_of(json.loads(json.dumps(record)), "joint", fault, "joint."))


def test_they_survive_their_json() -> None:
    assert read(to_record(WEIGHTS)) == WEIGHTS
    plain = replace(WEIGHTS, spreads={}, dependence=(), rho=0.0)
    assert read(to_record(plain)) == plain


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spreads": {"net/age": 0}}, "joint.spreads.net/age: expected a number above 0"),
        ({"spreads": {"net/age": -1}}, "a number above 0"),
        ({"spreads": {"net/age": "wide"}}, "a number"),
        ({"dependence": [0.1]}, "joint.dependence: expected 4 numbers"),
        ({"rho": -0.1}, "joint.rho: expected a number from 0 on"),
        ({"rho": None}, "joint.rho: expected a number"),
        ({"label_map": {}}, "joint.label_map.tasks"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read({**to_record(WEIGHTS), **change})
