"""Pictures that look alike: a perceptual hash of 256 bits, and the pairs that are near by it."""

from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEAR: Final = 24
"""Of 256 bits, near pictures differ in so many at most; its tests show what is near."""

_SIDE: Final = 16
_BLOCK: Final = 2048


def perceptual_hash(image: Image.Image) -> NDArray[np.bool_]:
    """Return the perceptual hash of an image, bool (256,): ImageHash's phash."""
    return np.asarray(imagehash.phash(image, _SIDE).hash, bool).ravel()


def similar_pairs(looks: NDArray[np.bool_], folds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the pairs of rows in different folds whose looks, bool (N, B), are near.

    By blocks of a matrix product of ±1, which gives B - 2d for d differing bits.
    """
    signs = np.where(looks, np.float32(1), np.float32(-1))
    least = looks.shape[1] - 2 * NEAR
    found: list[tuple[int, int]] = []
    for top in range(0, len(signs), _BLOCK):
        for left in range(top, len(signs), _BLOCK):
            close = signs[top : top + _BLOCK] @ signs[left : left + _BLOCK].T >= least
            rows, columns = np.nonzero(close)
            rows, columns = rows + top, columns + left
            kept = (rows < columns) & (folds[rows] != folds[columns])
            found += zip(rows[kept].tolist(), columns[kept].tolist(), strict=True)
    return found
