"""Folds are stratified, and no group is parted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from ensemble.errors import UsageError
from ensemble.evaluation.split import make_folds

RNG = np.random.default_rng(0)
LABELS = {f"r{n}": str(c) for n, c in enumerate(RNG.choice(["cat", "dog", "eel"], 300))}
GROUPS = {name: f"g{n // 4}" for n, name in enumerate(LABELS)}


def test_the_seed_decides_and_nothing_else() -> None:
    assert make_folds(LABELS, 5) == make_folds(LABELS, 5)
    assert make_folds(LABELS, 5) != make_folds(LABELS, 5, seed=1)


@pytest.mark.parametrize(
    ("k", "groups", "message"),
    [
        (1, None, "1 folds: expected 2 or more"),
        (200, None, r"too few of cat \(\d+\), dog \(\d+\), eel \(\d+\)"),
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


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, 6))
def test_folds_are_those_of_scikit_learn(seed: int, k: int) -> None:
    folds = make_folds(LABELS, k, seed=seed)
    y = np.array(list(LABELS.values()))
    splits = StratifiedKFold(k, shuffle=True, random_state=seed).split(y, y)
    for fold, (_, rows) in enumerate(splits):
        assert [n for n, f in enumerate(folds.values()) if f == fold] == rows.tolist()


def test_ids_come_in_the_order_of_the_labels() -> None:
    turned = dict(reversed(LABELS.items()))
    assert list(make_folds(turned, 3)) == list(turned)


def test_every_id_is_in_one_fold() -> None:
    folds = make_folds(LABELS, 7)
    assert folds.keys() == LABELS.keys()
    assert set(folds.values()) == set(range(7))


def test_groups_of_ids_that_have_no_label_are_nobodys() -> None:
    more = {**GROUPS, "stranger": "g0"}
    assert make_folds(LABELS, 5, groups=more) == make_folds(LABELS, 5, groups=GROUPS)


def test_a_class_that_is_too_rare_is_named() -> None:
    labels = {**dict.fromkeys("abcdef", "cat"), "g": "dog"}
    with pytest.raises(UsageError) as caught:
        make_folds(labels, 2)
    told = "2 folds: expected 2 or more, and as many rows of each class; too few of dog (1)"
    assert str(caught.value) == told
