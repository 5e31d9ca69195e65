"""Files of views joined: by id, and only where they are of the same rows and folds."""

from dataclasses import replace

import numpy as np
import pytest
from views_apart import CLASSES, ROWS, apart

from ensemble.errors import UsageError
from ensemble.predictions.join_views import join_views
from ensemble.predictions.kept_views import KeptViews

ANT, BEE = (apart({name: {"plain": 1.0}}) for name in ("ant", "bee"))


def moved(kept: KeptViews) -> KeptViews:
    """The same rows in another order."""
    rows = np.random.default_rng(0).permutation(ROWS)
    return replace(kept, ids=tuple(kept.ids[r] for r in rows), folds=kept.folds[rows],
                   columns={f: {v: p[rows] for v, p in views.items()}
                            for f, views in kept.columns.items()})  # fmt: skip


def test_families_are_joined_row_by_row_of_the_same_id() -> None:
    found = join_views([ANT, moved(BEE)])
    assert list(found.columns) == ["ant", "bee"]
    np.testing.assert_array_equal(found.columns["bee"]["plain"], BEE.columns["bee"]["plain"])
    assert found.costs is not None
    assert set(found.costs.evaluations) == set(found.members) == {"ant", "bee"}


def test_of_what_an_image_costs_the_most_counts() -> None:
    assert BEE.costs is not None
    dearer = replace(BEE, costs=replace(BEE.costs, image=1.0))
    costs = join_views([ANT, dearer]).costs
    assert costs is not None
    assert costs.image == 1.0


def test_a_file_alone_is_itself() -> None:
    assert join_views([ANT]) is ANT


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(BEE, ids=("x", *BEE.ids[1:])), "predict other rows"),
        (replace(BEE, classes=CLASSES[::-1]), "another classes"),
        (replace(BEE, merge="max"), "another merge"),
        (replace(BEE, folds=BEE.folds[::-1]), "other folds"),
        (ANT, "family 'ant' is in two files"),
    ],
)
def test_what_does_not_go_together_is_refused(other: KeptViews, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        join_views([ANT, other])


def test_costs_of_two_devices_do_not_compare() -> None:
    assert BEE.costs is not None
    gpu = replace(BEE, costs=replace(BEE.costs, provider="CUDAExecutionProvider"))
    with pytest.raises(UsageError, match="make them on one device"):
        join_views([ANT, gpu])
