"""The names of arrays mean what the functions that take and give them use."""

from typing import get_args, get_origin

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ensemble import arrays
from ensemble.images.resize import resize
from ensemble.records import Geometry, Size
from ensemble.voting import pools
from ensemble.voting.vote import Ballot, family_means, fuse

DTYPES = {
    "Pixels": np.uint8, "Probs": np.float32, "Pooled": np.float64, "Indices": np.int64,
    "Vector": np.float64, "Boxes": np.float64,
}  # fmt: skip
STACK = np.random.default_rng(0).dirichlet(np.ones(3), (2, 4))


def dtype_of(alias: object) -> np.dtype[np.generic]:
    """The dtype that an alias of NDArray names."""
    (scalar,) = get_args(get_args(alias)[1])
    return np.dtype(scalar)


@pytest.mark.parametrize("name", DTYPES)
def test_a_name_stands_for_one_dtype(name: str) -> None:
    alias = getattr(arrays, name)
    assert get_origin(alias) is np.ndarray
    assert dtype_of(alias) == DTYPES[name]


def test_every_name_is_listed_here() -> None:
    aliases = {n for n, v in vars(arrays).items() if get_origin(v) is np.ndarray} - {"NDArray"}
    assert aliases == set(DTYPES)


def test_pixels_are_what_a_resize_gives() -> None:
    geometry = Geometry(Size(5, 7), "squash", 1.0, "bilinear", 3, ())
    found = resize(Image.new("RGB", (9, 9)), geometry)
    assert (found.dtype, found.shape) == (dtype_of(arrays.Pixels), (5, 7, 3))


def test_what_members_give_is_pooled_in_double_precision() -> None:
    given: NDArray[np.float32] = STACK[0].astype(dtype_of(arrays.Probs))
    (pooled,) = family_means([Ballot("a-f0", "a", given)]).values()
    assert pooled.dtype == dtype_of(arrays.Pooled)


def test_labels_are_indices() -> None:
    fused = fuse([Ballot("a-f0", "a", STACK[0])], "soft", None, "classification")
    assert fused.labels.dtype == dtype_of(arrays.Indices)
    assert fused.labels.shape == (4,)


def test_a_level_is_a_number_for_each_row() -> None:
    found = pools.expected_level(STACK[0])
    assert (found.dtype, found.shape) == (dtype_of(arrays.Vector), (4,))
