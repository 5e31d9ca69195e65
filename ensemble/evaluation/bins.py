"""Bins of values: what folds are stratified by, where labels are those of a regression."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices

MANY: Final = 20
"""Up to so many different numbers are classes."""

BINS: Final = 10


def are_values(labels: Mapping[str, str]) -> bool:
    """Tell whether labels are values: more than `MANY` different numbers, and not all whole.

    Whole numbers may be the numbers of as many classes.
    """
    numbers = {_number(label) for label in labels.values()}
    if len(numbers) <= MANY or not all(map(math.isfinite, numbers)):
        return False
    return not all(map(float.is_integer, numbers))


def binned(labels: Mapping[str, str], k: int) -> dict[str, str]:
    """Return the bin of each id's value, called by its least and its largest.

    The bins are quantiles: ten, or as many fewer as leave k rows in each.

    Args:
        labels: The value of each id, a finite number.
        k: The rows that a bin must have.
    """
    values = np.array([_number(label) for label in labels.values()])
    bins = next(filter(lambda found: np.bincount(found).min() >= k,
                       (equal_mass(values, count) for count in range(BINS, 1, -1))),
                np.zeros(len(values), np.int64))  # fmt: skip
    ends = [(values[bins == each].min(), values[bins == each].max()) for each in np.unique(bins)]
    names = [f"{low:.6g} to {high:.6g}" for low, high in ends]
    return {name: names[place] for name, place in zip(labels, bins.tolist(), strict=True)}


def equal_mass(values: NDArray[np.float64], count: int) -> Indices:
    """Return the bin of each value, int64 (N,), of about as many each, without gaps.

    Equal values are together, so that there may be fewer than `count`.
    """
    cuts = np.quantile(values, np.arange(1, count) / count)
    return np.unique(np.searchsorted(cuts, values), return_inverse=True)[1].astype(np.int64)


def _number(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        return math.nan
