"""Views that only move pixels, looked at on the host: flips and quarter turns of uint8 images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices, Pixels
from ensemble.records import Merge, Size, View
from ensemble.views.pixels import output_size, pixel_map

_MOVES: Final = {"hflip", "vflip", "rot90"}


def apart(views: Sequence[View], merge: Merge, sizes: Sequence[Size]) -> bool:
    """Tell whether views can be evaluated one by one: the mean of flips and quarter turns.

    Args:
        views: The views of a policy.
        merge: How they become one.
        sizes: The members' input sizes; a quarter turn must not change one.
    """
    moves = all(op.name in _MOVES for view in views for op in view.ops)
    return merge == "mean" and moves and all(output_size(v, s) == s for v in views for s in sizes)


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """Some rows of uint8 images (N, H, W, C) under a view of `apart`, made as they are sliced."""

    pixels: Pixels
    rows: Indices
    view: View

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __getitem__(self, part: slice) -> Pixels:
        """Return the pixels of a slice of the rows, uint8 (n, H, W, C), contiguous."""
        chosen = self.pixels[self.rows[part]]
        if not self.view.ops:
            return chosen
        n, height, width, channels = chosen.shape
        grid = pixel_map(self.view, Size(height, width)).ravel()
        flat = chosen.reshape(n, height * width, channels)
        return np.ascontiguousarray(flat.take(grid, 1).reshape(chosen.shape))
