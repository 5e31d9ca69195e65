"""Predictions are checked once, at the door, and known by their numbers."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tables import CLASSES, IDS, probs

from ensemble.errors import UsageError
from ensemble.predictions import table
from ensemble.predictions.formats import read
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions, identified, in_order
from ensemble.records import MemberId


def test_float16_rows_are_divided_by_their_sum_and_counted(tmp_path: Path) -> None:
    values = probs().astype(np.float16)
    np.savez(tmp_path / "half.npz", ids=np.array(IDS), probs=values)
    found = read(tmp_path / "half.npz")
    np.testing.assert_allclose(found.families["half"].sum(1), 1, atol=1e-15)
    assert found.rescaled == int((abs(values.astype(np.float64).sum(1) - 1) > 1e-6).sum()) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array(["a", "b", "a", "c"])}, "ids stand there twice: a"),
        ({"probs": probs() * [[1], [np.nan], [1], [1]]}, "NaN or infinite for NA"),
        ({"probs": np.log(probs())}, "gives no probabilities for 4 rows"),
        ({"probs": probs()[:3]}, r"\(3, 3\); expected 4 rows"),
    ],
)
def test_predictions_that_are_wrong_are_refused(
    tmp_path: Path, change: dict[str, NDArray[np.float64]], message: str
) -> None:
    arrays = {"ids": np.array(IDS), "probs": probs(), **change}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,cat,dog\n", "classes and rows"),
        ("id,fold\na,0\n", "classes and rows"),
        ("id,cat,dog\n,0.5,0.5\n", "ids: number 1 is empty"),
    ],
)
def test_predictions_of_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "p.csv")


def test_a_column_is_a_familys_ballot_until_a_run_names_its_member() -> None:
    made = Predictions(IDS, CLASSES, {"ant-f0": probs(0), "ant-f1": probs(1)}, members={})
    assert [each.family for each in made.ballots] == ["ant-f0", "ant-f1"]
    sources = tuple(RecordedMember(MemberId(name, "ant"), "ab" * 8) for name in made.families)
    named = replace(made, sources=sources, members={"ant": ("cd", "ef")})
    assert [(each.name, each.family) for each in named.ballots] == [
        ("ant-f0", "ant"),
        ("ant-f1", "ant"),
    ]
    assert named.hashes == {"ant": ("cd", "ef")}
    assert made.hashes == {"ant-f0": (), "ant-f1": ()}


def test_a_family_is_told_by_its_numbers_classes_and_ids() -> None:
    made = Predictions(IDS, CLASSES, {"ant": probs(0)})
    others = [
        replace(made, families={"ant": probs(1)}),
        replace(made, families={"bee": probs(0)}),
        replace(made, ids=IDS[::-1]),
        replace(made, task="multilabel"),
        in_order(made, CLASSES[::-1]),
    ]
    digests = {identified(each).sources[0].member.sha256 for each in (made, *others)}
    assert len(digests) == 6
    assert identified(made).sources == identified(made).sources


def test_columns_follow_their_classes() -> None:
    turned = in_order(Predictions(IDS, CLASSES, {"ant": probs(0)}), CLASSES[::-1])
    assert turned.classes == CLASSES[::-1]
    np.testing.assert_array_equal(turned.families["ant"], probs(0)[:, ::-1])


def test_families_are_told_by_the_canonical_json_of_all_that_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "_IDS", 3)
    known = identified(Predictions(IDS, CLASSES, {"ant": probs()}))
    numbers = hashlib.sha256(probs().tobytes()).hexdigest()
    told = json.dumps(
        ["ant", "classification", list(CLASSES), list(IDS), numbers], separators=(",", ":")
    )
    assert [each.member.sha256 for each in known.sources] == [
        hashlib.sha256(told.encode()).hexdigest()
    ]
