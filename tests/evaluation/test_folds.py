"""Folds are balanced, keep groups together, and leaks between them are found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.evaluation.folds import (
    FoldReport,
    folds_from,
    folds_of,
    refuse_leaks,
    report_folds,
)
from ensemble.evaluation.split import make_folds

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


def test_groups_across_folds_are_found() -> None:
    report = report_folds(LABELS, make_folds(LABELS, 5), groups=GROUPS)
    assert report.leaks
    assert "g0" in report.straddling


def test_the_same_image_in_two_folds_is_found() -> None:
    folds = {"a": 0, "b": 1, "c": 1, "d": 1}
    digests = {"a": "x", "b": "x", "c": "y", "d": "y"}
    report = report_folds(dict.fromkeys(folds, "cat"), folds, digests=digests)
    assert report.twins == (("a", "b"),)


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


def test_folds_a_folder_or_an_extension_apart_are_joined_and_told(tmp_path: Path) -> None:
    rows = ["train/b.png,2", "train/007.png,0", "train/NA.png,1", "train/1e5.png,0"]
    (tmp_path / "folds.csv").write_text("\n".join(["id,fold", *rows]))
    told: list[str] = []
    found = folds_from(tmp_path / "folds.csv", IDS, tell=told.append)
    np.testing.assert_array_equal(found, [0, 1, 0, 2])
    assert "such as 'train/b.png' for 'b'" in told[0]


# ---- making


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 9))
def test_no_group_is_ever_parted(seed: int, size: int) -> None:
    groups = {name: f"g{n // size}" for n, name in enumerate(LABELS)}
    folds = make_folds(LABELS, 3, groups=groups, seed=seed)
    assert not report_folds(LABELS, folds, groups=groups).straddling
    assert set(folds.values()) == {0, 1, 2}


def test_as_many_rows_of_a_class_as_folds_are_enough() -> None:
    labels = {f"r{n}": "ab"[n % 2] for n in range(6)}
    report = report_folds(labels, make_folds(labels, 3))
    assert report.counts.tolist() == [[1, 1]] * 3


# ---- looking


def test_rows_are_counted_by_fold_and_class() -> None:
    labels = {"a": "x", "b": "y", "c": "x", "d": "x"}
    report = report_folds(labels, {"a": 7, "b": 0, "c": 7, "d": 0})
    assert (report.folds, report.classes) == ((0, 7), ("x", "y"))
    assert report.counts.tolist() == [[1, 1], [2, 0]]


@settings(deadline=None, max_examples=40)
@given(folds=st.lists(st.integers(0, 2), min_size=8, max_size=8),
       groups=st.lists(st.sampled_from("xyz"), min_size=8, max_size=8))  # fmt: skip
def test_a_group_straddles_where_two_of_its_rows_lie_apart(
    folds: list[int], groups: list[str]
) -> None:
    ids = [f"r{n}" for n in range(8)]
    report = report_folds(
        dict.fromkeys(ids, "c"), dict(zip(ids, folds, strict=True)),
        groups=dict(zip(ids, groups, strict=True)),
    )  # fmt: skip
    slow = {groups[a] for a in range(8) for b in range(a)
            if groups[a] == groups[b] and folds[a] != folds[b]}  # fmt: skip
    assert report.straddling == tuple(sorted(slow))
    assert report.leaks == bool(slow)


def test_twins_are_told_with_all_their_ids() -> None:
    folds = {"a": 0, "b": 1, "c": 0, "d": 0}
    report = report_folds(dict.fromkeys(folds, "x"), folds, digests=dict.fromkeys("acb", "same"))
    assert report.twins == (("a", "c", "b"),)


def test_images_that_belong_to_no_fold_are_left_out() -> None:
    folds = {"a": 0, "b": 1}
    report = report_folds({"a": "x", "b": "x"}, folds, digests={"a": "h", "stranger": "h"})
    assert not report.leaks


@pytest.mark.parametrize("odd", ["label", "fold"])
def test_an_id_on_one_side_only_is_named(odd: str) -> None:
    labels, folds = {"a": "x", "b": "x"}, {"a": 0, "b": 1}
    (labels if odd == "label" else folds)["c"] = 0  # type: ignore[index]
    with pytest.raises(UsageError, match="ids with a label or a fold, and not both: c$"):
        report_folds(labels, folds)


# ---- refusing


def report(**more: Any) -> FoldReport:
    """A report of one fold, without a leak but those that are given."""
    leaks: dict[str, Any] = {"straddling": (), "twins": ()} | more
    return FoldReport((0,), ("x",), np.ones((1, 1), np.int64), **leaks)


def test_folds_without_a_leak_pass() -> None:
    refuse_leaks(report(near=(("a", "b"),)))


@pytest.mark.parametrize(
    ("leak", "told"),
    [
        ({"straddling": ("p1", "p2")}, "groups in several folds: p1, p2"),
        ({"twins": (("a", "b"), ("c", "d"))}, "the same image in several folds: (a, b), (c, d)"),
        (
            {"straddling": ("p1",), "twins": (("a", "b"),)},
            "groups in several folds: p1; the same image in several folds: (a, b)",
        ),
    ],
)
def test_folds_that_leak_are_refused_with_what_leaks(leak: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_leaks(report(**leak))
    assert str(caught.value) == f"these folds leak: {told}. Split anew with --group"


# ---- reading


@pytest.mark.parametrize("values", [["0", "1"], [0, 1], [" 0", "+1 "], [np.int64(0), np.int64(1)]])
def test_folds_may_be_numbers_or_texts(values: list[object]) -> None:
    given_folds = dict(zip("ab", values, strict=True))
    assert folds_of(("b", "a"), given_folds, "x").tolist() == [1, 0]


def test_folds_that_are_lacking_are_named_with_their_file() -> None:
    with pytest.raises(UsageError) as caught:
        folds_of(("a", "b", "c"), {"b": 0}, "train.csv")
    assert str(caught.value) == "train.csv: no fold for a, c"
