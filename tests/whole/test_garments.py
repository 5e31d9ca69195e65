"""The garments zoo: what its scenes show."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

ZOO = Path(__file__).parents[2] / "models_zoo" / "garments"
MODULES = ("data", "draw")


@pytest.fixture(scope="module")
def data() -> Iterator[ModuleType]:
    """The zoo's `data`, which imports its `draw` as scripts do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ZOO))
        for name in MODULES:
            patch.delitem(sys.modules, name, raising=False)
        yield import_module("data")
        for name in MODULES:
            sys.modules.pop(name, None)


def garments() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A hundred rectangles, no two alike, of three kinds."""
    rng = np.random.default_rng(7)
    tiles = np.zeros((100, 28, 28), np.uint8)
    for tile in tiles:
        top, left = rng.integers(0, 12, 2)
        tile[top : top + 16, left : left + 10] = rng.integers(20, 256, (16, 10))
    return tiles, np.arange(100) % 3


def pixels_of(data: ModuleType, count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack([s.drawn.pixels for s in data.scenes(*garments(), "train", count, seed)])


def test_the_same_seed_gives_the_same_bytes(data: ModuleType) -> None:
    np.testing.assert_array_equal(pixels_of(data, 12), pixels_of(data, 12))


def test_another_seed_gives_other_scenes(data: ModuleType) -> None:
    assert (pixels_of(data, 12) != pixels_of(data, 12, seed=1)).any((1, 2)).all()


def test_the_first_of_many_scenes_are_those_of_a_few(data: ModuleType) -> None:
    np.testing.assert_array_equal(pixels_of(data, 20)[:5], pixels_of(data, 5))


def test_the_splits_are_drawn_apart(data: ModuleType) -> None:
    other = np.stack([s.drawn.pixels for s in data.scenes(*garments(), "test", 5)])
    assert (pixels_of(data, 5) != other).any((1, 2)).all()


def test_a_box_is_the_smallest_that_holds_the_garment(data: ModuleType) -> None:
    for scene in data.scenes(*garments(), "train", 200):
        places = np.argwhere(scene.drawn.mask)
        box = scene.drawn.box
        assert (box.top, box.left) == tuple(places.min(0))
        assert (box.bottom, box.right) == tuple(places.max(0) + 1)


def test_a_garment_is_as_large_as_its_size_says(data: ModuleType) -> None:
    for scene in data.scenes(*garments(), "train", 200):
        box = scene.drawn.box
        # 16 of 28 pixels are covered, 12 % more or less, turned by 20 degrees at most
        least, most = 0.88 * 16 / 28 * 0.94, 1.12 * (16 * 0.94 + 10 * 0.35) / 28
        assert least * scene.size - 2 < box.bottom - box.top < most * scene.size + 2


def test_a_garment_is_shown_again_only_when_its_kind_is_used_up(data: ModuleType) -> None:
    rows = data._in_turn(np.array([4, 2, 9]))
    assert [next(rows) for _ in range(5)] == [4, 2, 9, 4, 2]


def test_the_shares_sum_to_one_and_the_rarest_is_a_hundredth(data: ModuleType) -> None:
    assert sum(data.SHARES) == pytest.approx(1, abs=1e-12)
    assert len(data.SHARES) == len(data.JOINT) == 18
    assert min(data.SHARES) == 0.01
