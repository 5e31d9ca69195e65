"""What would make the answer wrong is refused before tuning; what makes it weak is told."""

from contextlib import nullcontext
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from blends import ROWS, TRUTH, tuned_on
from fake_workers import Told
from hypothesis import given
from hypothesis import strategies as st
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.evaluation.metrics import metric_of
from ensemble.predictions.formats import read
from ensemble.tuning.checks import check_rows, groups_of, notes_of
from ensemble.tuning.tune import tune_weights
from ensemble.tuning.weigh import TuneOrder

METRIC = metric_of("log_loss", "classification")


@pytest.mark.usefixtures("train")
def test_groups_across_folds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"groups lie in several folds: .*folds 0, 1, 2"):
        tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, group="label"))
    assert tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, group="patient")).evidence["n"] == ROWS


@pytest.mark.usefixtures("train")
def test_a_fold_with_every_row_of_a_class_is_refused() -> None:
    Path("folds.csv").write_text(
        "\n".join(["id,fold", *(f"img{r},{int(TRUTH[r] == 0)}" for r in range(ROWS))])
    )
    with pytest.raises(UsageError, match="fold 0 holds every row of dog, eel"):
        tune_weights(tuned_on({"ant": 2.0}, folds=Path("folds.csv")))


@pytest.mark.usefixtures("train")
def test_one_fold_is_no_evidence_and_is_refused() -> None:
    rows = [f"img{r},0" for r in range(ROWS)]
    Path("folds.csv").write_text("\n".join(["id,fold", *rows]))
    with pytest.raises(UsageError, match=r"fold 0 holds every row"):
        tune_weights(tuned_on({"ant": 2.0}, folds=Path("folds.csv")))


@pytest.mark.usefixtures("train")
def test_near_copies_and_lone_families_are_told() -> None:
    told = Told()
    order = tuned_on({"ant": 2.0})
    tune_weights(order, told)
    copy = [*order.files, ("bee", Path("bee.npz"))]
    table = read(Path("ant.parquet"))
    np.savez("bee.npz", ids=np.array(table.ids), probs=table.families["ant"], classes=CLASSES)
    tune_weights(TuneOrder(copy, order.labels, "log_loss"), told)
    assert any("one family" in line for line in told.said)
    assert any("ant and bee are near copies" in line for line in told.said)


IDS = ("i", "j", "k", "l")
HALVES = np.array([0, 0, 1, 1])


def test_groups_are_numbered_by_their_sorted_names() -> None:
    found = groups_of(IDS, {"i": "b", "j": "b", "k": "a", "l": "c"}, HALVES)
    assert found.tolist() == [1, 1, 0, 2]


def test_a_group_may_lie_anywhere_where_there_are_no_folds() -> None:
    assert groups_of(IDS, dict.fromkeys(IDS, "one"), None).tolist() == [0, 0, 0, 0]


def test_an_id_without_a_group_is_named() -> None:
    with pytest.raises(UsageError, match="no group for j, l$"):
        groups_of(IDS, {"i": "a", "k": "b"}, HALVES)


def test_the_group_that_leaks_is_named_with_its_folds_and_no_other() -> None:
    groups = {"i": "safe", "j": "leaky", "k": "leaky", "l": "calm"}
    with pytest.raises(UsageError) as told:
        groups_of(IDS, groups, np.array([3, 3, 7, 7]))
    assert str(told.value) == "groups lie in several folds: leaky (folds 3, 7)"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2)), min_size=1, max_size=8))
def test_groups_leak_where_a_loop_finds_one_in_two_folds(rows: list[tuple[str, int]]) -> None:
    ids = [str(n) for n in range(len(rows))]
    groups = {name: group for name, (group, _) in zip(ids, rows, strict=True)}
    folds = np.array([fold for _, fold in rows])
    leaks = any(a == b and m != n for (a, m), (b, n) in combinations(rows, 2))
    with pytest.raises(UsageError) if leaks else nullcontext():
        groups_of(ids, groups, folds)


def test_rows_of_every_class_outside_each_fold_are_enough() -> None:
    check_rows(np.array([0, 1, 0, 1]), ("a", "b"), METRIC, HALVES)
    check_rows(np.array([0, 0, 1, 1]), ("a", "b"), METRIC, None)


def test_a_class_that_no_row_shows_is_missed_by_no_fold() -> None:
    check_rows(np.array([0, 1, 0, 1]), ("a", "b", "never"), METRIC, HALVES)


def test_a_label_whose_rows_all_lie_in_a_fold_is_named() -> None:
    y = np.array([[1, 0], [0, 1], [1, 0], [0, 0]])
    with pytest.raises(UsageError, match=r"fold 0 holds every row of rain: .*stratified"):
        check_rows(y, ("fog", "rain"), metric_of("map", "multilabel"), HALVES)


def test_a_regression_shows_every_column_in_every_fold() -> None:
    check_rows(np.zeros((4, 1)), ("age",), metric_of("rmse", "regression"), HALVES)


def test_families_that_differ_are_worth_no_note() -> None:
    stack = np.random.default_rng(0).random((3, 30, 2))
    assert notes_of(["a", "b", "c"], stack, np.arange(30) % 2) == []


def test_each_pair_of_copies_is_told_once() -> None:
    one = np.random.default_rng(0).random((20, 2))
    notes = notes_of(["a", "b", "c"], np.stack([one, one, one]), np.arange(20) % 2)
    pairs = ["a and b", "a and c", "b and c"]
    assert notes == [f"{pair} are near copies (correlation 1.0000)" for pair in pairs]


def test_families_that_say_the_same_to_every_row_are_copies_without_a_correlation() -> None:
    notes = notes_of(["a", "b"], np.full((2, 6, 2), 0.5), np.arange(6) % 2)
    assert notes == ["a and b are near copies (correlation nan)"]


def test_no_folds_leave_an_apparent_score_and_a_note() -> None:
    stack = np.random.default_rng(0).random((2, 9, 2))
    (note,) = notes_of(["a", "b"], stack, None)
    assert "there is no evidence" in note


def test_a_lone_fold_is_refused_whatever_its_number() -> None:
    with pytest.raises(UsageError, match="all rows lie in one fold"):
        notes_of(["a"], np.random.default_rng(0).random((1, 4, 2)), np.full(4, 3))
