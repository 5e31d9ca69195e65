"""Stratified folds, by scikit-learn, which takes seconds to import: only who splits waits."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ensemble.errors import UsageError, few


def make_folds(
    labels: Mapping[str, str], k: int, *, groups: Mapping[str, str] | None = None, seed: int = 0
) -> dict[str, int]:
    """Split ids into k folds, each with its share of every class; groups stay together.

    scikit-learn's StratifiedKFold or StratifiedGroupKFold, shuffled by the seed.

    Raises:
        UsageError: a class has fewer rows, or there are fewer groups, than folds.
    """
    ids = list(labels)
    if not ids:
        raise UsageError("there are no rows to split into folds")
    y = np.array([labels[name] for name in ids])
    _check_classes(y, k)
    if groups is None:
        splits = StratifiedKFold(k, shuffle=True, random_state=seed).split(y, y)
    else:
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        splits = splitter.split(y, y, _group_of_each(ids, groups, k))
    fold_of = np.empty(len(ids), np.int64)  # each row is held out once, so each place is filled
    for fold, (_, held_out) in enumerate(splits):
        fold_of[held_out] = fold
    return dict(zip(ids, fold_of.tolist(), strict=True))


def _check_classes(y: NDArray[np.str_], k: int) -> None:
    """Check that each class has a row for each fold."""
    classes, counts = np.unique(y, return_counts=True)
    rare = counts < k
    small = [f"{c} ({n})" for c, n in zip(classes[rare], counts[rare].tolist(), strict=True)]
    if k < 2 or small:
        raise UsageError(
            f"{k} folds: expected 2 or more, and as many rows of each class; too few of "
            f"{few(small) or 'none'}"
        )


def _group_of_each(ids: Sequence[str], groups: Mapping[str, str], k: int) -> NDArray[np.str_]:
    """Return the group of each id, (N,), having checked that there is one for each fold."""
    lacking = [name for name in ids if name not in groups]
    found = np.array([groups.get(name, "") for name in ids])
    count = len(np.unique(found))
    if lacking or count < k:
        raise UsageError(f"{count} groups for {k} folds; no group for {few(lacking) or 'none'}")
    return found
