"""Folds are balanced, keep groups together, and leaks between them are found."""

from pathlib import Path

import numpy as np
import pytest

from ensemble.errors import UsageError
from ensemble.evaluation.folds import folds_from, make_folds, report_folds

RNG = np.random.default_rng(0)
LABELS = {f"r{n}": str(c) for n, c in enumerate(RNG.choice(["cat", "dog", "eel"], 300))}
GROUPS = {name: f"g{n // 4}" for n, name in enumerate(LABELS)}


def test_each_fold_has_its_share_of_every_class() -> None:
    report = report_folds(LABELS, make_folds(LABELS, 5))
    assert report.counts.sum() == 300
    assert (report.counts.max(0) - report.counts.min(0)).max() <= 1


def test_a_group_stays_in_one_fold() -> None:
    folds = make_folds(LABELS, 5, groups=GROUPS)
    report = report_folds(LABELS, folds, groups=GROUPS)
    assert not report.leaks
    assert len(report.folds) == 5


def test_the_seed_decides_and_nothing_else() -> None:
    assert make_folds(LABELS, 5) == make_folds(LABELS, 5)
    assert make_folds(LABELS, 5) != make_folds(LABELS, 5, seed=1)


def test_groups_across_folds_are_found() -> None:
    report = report_folds(LABELS, make_folds(LABELS, 5), groups=GROUPS)
    assert report.leaks
    assert "g0" in report.straddling


def test_the_same_image_in_two_folds_is_found() -> None:
    folds = {"a": 0, "b": 1, "c": 1, "d": 1}
    digests = {"a": "x", "b": "x", "c": "y", "d": "y"}
    report = report_folds(dict.fromkeys(folds, "cat"), folds, digests=digests)
    assert report.twins == (("a", "b"),)


@pytest.mark.parametrize(
    ("k", "groups", "message"),
    [
        (1, None, "1 folds: expected 2 or more"),
        (200, None, "too few of cat, dog, eel"),
        (5, dict.fromkeys(LABELS, "one"), "1 groups for 5 folds"),
        (5, {"r0": "g"}, "no group for r1"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    k: int, groups: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_folds(LABELS, k, groups=groups)


def test_no_rows_make_no_folds() -> None:
    with pytest.raises(UsageError, match="no rows"):
        make_folds({}, 2)


def test_ids_without_a_fold_are_refused() -> None:
    with pytest.raises(UsageError, match="r299"):
        report_folds(LABELS, {n: 0 for n in LABELS if n != "r299"})


IDS = ("007", "NA", "1e5", "b")


def test_folds_are_read_by_id(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("fold,id\n2,b\n0,007\n1,NA\n0,1e5\n")
    np.testing.assert_array_equal(folds_from(tmp_path / "folds.csv", IDS), [0, 1, 0, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,fold\n007,0\n", "no fold for NA, 1e5, b"),
        ("id,fold\n007,x\nNA,0\n1e5,0\nb,0\n", "whole number"),
        ("id,fold\n007,1_0\nNA,0\n1e5,0\nb,0\n", "whole number; found '1_0'"),
        (f"id,fold\n007,{'9' * 30}\nNA,0\n1e5,0\nb,0\n", "whole number; found '999"),
        ("id,fold\n007,0\n007,1\n", "line 3: id '007' stands in line 2 too"),
        ("id,part\n007,0\n", "no column 'fold'"),
    ],
)
def test_folds_that_are_wrong_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "folds.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        folds_from(tmp_path / "folds.csv", IDS)
