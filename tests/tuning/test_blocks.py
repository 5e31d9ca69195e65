"""Rows in blocks give what all rows at once give."""

import numpy as np
import pytest
from blends import many

from ensemble.arrays import Indices
from ensemble.evaluation.metrics import metric_of
from ensemble.tuning import blocks
from ensemble.tuning.blocks import Packed
from ensemble.voting import pools
from ensemble.voting.pools import Stack

STACK, Y = many(3, 1000, 4)
WEIGHTS = np.array([0.5, 0.2, 0.3])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of thirty rows."""
    monkeypatch.setattr(blocks, "_CELLS", 1)
    monkeypatch.setattr(blocks, "_LEAST_ROWS", 30)


@pytest.mark.parametrize(("rows", "count"), [(0, 1), (1, 1), (30, 1), (31, 2), (90, 3)])
def test_blocks_hold_each_row_once_and_in_order(rows: int, count: int) -> None:
    found = blocks.parts(rows, 12)
    assert len(found) == count
    assert np.concatenate([np.arange(rows)[part] for part in found]).tolist() == list(range(rows))


def test_a_block_is_as_long_as_its_cells_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_CELLS", 4000)
    assert blocks.parts(1000, 40)[0] == slice(0, 100)
    assert blocks.parts(1000, 4000)[0] == slice(0, 30)


def test_what_is_filled_by_blocks_is_what_all_rows_give() -> None:
    expected = pools.linear(STACK, WEIGHTS)
    np.testing.assert_allclose(blocks.mean_of(STACK, WEIGHTS), expected, rtol=1e-15)


@pytest.mark.parametrize("name", ["log_loss", "f1_macro", "auc"])
def test_a_score_by_blocks_is_that_of_all_rows(name: str) -> None:
    metric = metric_of(name, "classification")
    found = blocks.score_of(metric, Y, STACK, lambda block: pools.linear(block, WEIGHTS))
    assert found == pytest.approx(metric.score(Y, pools.linear(STACK, WEIGHTS)), rel=1e-14)
    singles = [metric.score(Y, probs) for probs in STACK]
    assert blocks.scores_of(metric, Y, STACK) == pytest.approx(singles, rel=1e-14)


def test_few_numbers_are_kept_as_they_are_and_many_as_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    np.testing.assert_array_equal(blocks.kept(list(STACK)), STACK)
    monkeypatch.setattr(blocks, "_EXACT", 3 * 1000 * 4 - 1)
    found = blocks.kept(list(STACK))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, STACK.astype(np.float32))


def test_what_is_kept_as_float32_is_computed_as_float64() -> None:
    stack = STACK.astype(np.float32)
    seen: list[np.dtype[np.float64]] = []

    def first(block: Stack) -> Stack:
        seen.append(block.dtype)
        return np.asarray(block[0])

    assert blocks.filled(stack, first).dtype == np.float64
    assert set(seen) == {np.dtype(np.float64)}


def sums(block: Stack, own: Indices) -> tuple[Stack, Stack]:
    """The sum of each family's probabilities, and of what it gives the truth."""
    return block.sum((1, 2)), block[:, own, np.arange(len(own))].sum(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_over_packed_blocks_are_those_of_all_rows(dtype: type[np.floating]) -> None:
    stack = STACK.astype(dtype)
    total, own = Packed.of(stack, Y).added(sums)
    exact = stack.astype(np.float64)
    np.testing.assert_allclose(total, exact.sum((1, 2)), rtol=1e-14)
    np.testing.assert_allclose(own, exact[:, np.arange(1000), Y].sum(1), rtol=1e-14)


def test_blocks_are_prepared_once_before_they_are_packed() -> None:
    calls: list[int] = []

    def doubled(block: Stack, own: Indices) -> Stack:
        calls.append(len(own))
        return 2 * block

    packed = Packed.of(STACK, Y, doubled)
    for _ in range(3):
        np.testing.assert_allclose(packed.added(sums)[0], 2 * STACK.sum((1, 2)), rtol=1e-14)
    assert (len(calls), sum(calls)) == (len(packed.blocks), 1000)
