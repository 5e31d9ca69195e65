"""Choosing in Python, by the arguments of the command."""

from pathlib import Path

import pandas as pd
import pytest
from views_apart import CLASSES, IDS, TRUTH, apart, labels

import ensemble as package
from ensemble.errors import UsageError
from ensemble.predictions.views_file import save

KEPT = apart({"ant": {"plain": 1.2, "hflip": 1.2}})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_predictions_in_memory_and_their_file_give_one_policy() -> None:
    save(Path("views.parquet"), [KEPT])
    path, frame = labels(), pd.DataFrame({"id": IDS, "label": [CLASSES[y] for y in TRUTH]})
    one = package.choose("views.parquet", path, metric="accuracy", progress=None)
    two = package.choose(KEPT, frame, metric="accuracy", progress=None, out="policy.json")
    assert {family: own.views for family, own in one.families.items()} == {
        family: own.views for family, own in two.families.items()
    }
    assert package.Policy.load("policy.json") == two


def test_a_budget_is_read_as_the_flag_is() -> None:
    policy = package.choose(KEPT, labels(), metric="accuracy", budget="4ms", progress=None)
    assert policy.budget == "4 ms an image"
    assert policy.seconds <= 4e-3


def test_predictions_of_another_type_are_refused() -> None:
    with pytest.raises(UsageError, match="oof: expected a path"):
        package.choose([7], labels(), progress=None)  # type: ignore[list-item]
