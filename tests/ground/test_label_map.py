"""The label map as a record: what it says, and its JSON."""

import json
from dataclasses import replace

import pytest

from ensemble.errors import UsageError
from ensemble.files.fields import fields_of
from ensemble.label_map import LabelMap, from_record, to_record
from ensemble.label_tasks import LabelTask

AGE = LabelTask("age", ("<30", ">=30"), (30.0,), 4.0, (("<20", "<30"),))
MASK = LabelTask("mask", ("off", "on"))
ROWS = (("<30", "off"), (">=30", "off"), (">=30", "on"))
MAP = LabelMap(("0", "1", "2"), (AGE, MASK), ROWS)


def read(record: object) -> LabelMap:
    def fault(name: str, expected: str, found: object) -> UsageError:
        return UsageError(f"{name}: expected {expected}, found {found}")

    return from_record(fields_of(json.loads(json.dumps(record)), "label_map", fault))


def test_places_are_the_classes_of_each_label() -> None:
    assert MAP.places == ((0, 0), (1, 0), (1, 1))


def test_combinations_without_a_label_are_missing() -> None:
    assert MAP.missing == [("<30", "on")]


def test_a_map_survives_its_json() -> None:
    assert read(to_record(MAP)) == MAP
    plain = replace(MAP, tasks=(LabelTask("age", AGE.classes), MASK))
    assert read(to_record(plain)) == plain


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [{"label": "0", "age": "<30", "mask": "off"}]},
        {"rows": [{"label": str(n), "age": "<30", "mask": "off"} for n in range(2)]},
        {"rows": [{"label": str(n), "age": "<30", "mask": m} for n, m in enumerate(["off", "x"])]},
        {"tasks": {}},
    ],
)
def test_a_record_that_is_no_map_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"rows|tasks"):
        read({**to_record(MAP), **change})
