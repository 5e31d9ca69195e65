"""Values are binned by their quantiles, classes never."""

import numpy as np
import pytest

from ensemble.evaluation.bins import are_values, binned

VALUES = {f"r{n}": f"{value:.4f}" for n, value in enumerate(np.random.default_rng(0).random(200))}


def as_labels(*labels: str) -> dict[str, str]:
    return {f"r{n}": label for n, label in enumerate(labels)}


def test_many_numbers_that_are_not_whole_are_values() -> None:
    assert are_values(VALUES)


@pytest.mark.parametrize(
    "labels",
    [
        [str(n) for n in range(1000)],
        [f"{n}.0" for n in range(1000)],
        [f"{n % 20 / 7}" for n in range(1000)],
        [f"class {n / 7}" for n in range(1000)],
        [*(f"{n / 7}" for n in range(1000)), "nan"],
    ],
)
def test_whole_numbers_a_handful_of_numbers_and_texts_are_classes(labels: list[str]) -> None:
    assert not are_values(as_labels(*labels))


def test_bins_hold_a_tenth_each_and_are_called_by_their_ends() -> None:
    found = binned(VALUES, 5)
    names, counts = np.unique(list(found.values()), return_counts=True)
    assert len(names) == 10
    assert set(counts.tolist()) <= {19, 20, 21}
    for name, label in VALUES.items():
        low, high = map(float, found[name].split(" to "))
        assert low <= float(label) <= high


def test_every_bin_has_a_row_for_each_fold() -> None:
    few = dict(list(VALUES.items())[:23])
    counts = np.unique(list(binned(few, 5).values()), return_counts=True)[1]
    assert counts.min() >= 5
    assert len(counts) == 4


def test_equal_values_are_in_one_bin() -> None:
    labels = as_labels(*["0.5"] * 150, *(f"{n / 7}" for n in range(50)))
    found = binned(labels, 5)
    assert len({found[name] for name, label in labels.items() if label == "0.5"}) == 1
