"""What each operation of a view does to an image's size and pixels.

The graph and the check for duplicate views both read it here. The geometry is ttach's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never, cast

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pixels
from ensemble.boxes import Jitter
from ensemble.errors import UsageError
from ensemble.records import MAX_SIDE, Merge, Op, Size, View

_MOVES: Final = {"hflip", "vflip", "rot90"}


def jitter_of(view: View) -> Jitter:
    """Return how a view moves the box that is cut out: not at all, if it does not say."""
    first = view.ops[:1]
    return cast(Jitter, first[0].args) if first and first[0].name == "jitter" else (0.0, 0.0, 0.0)


def jitters_of(views: Sequence[View]) -> tuple[Jitter, ...]:
    """Return the jitters of views, each once, in their order; none where no view moves the box."""
    found = tuple(dict.fromkeys(map(jitter_of, views)))
    return found if any(map(any, found)) else ()


def output_size(view: View, size: Size) -> Size:
    """Return the size of the view of an image of that size.

    Raises:
        UsageError: a crop larger than the image, or an image scaled to nothing.
    """
    for op in view.ops:
        size = _size_after(op, size, view)
    return size


def pixel_map(view: View, size: Size) -> NDArray[np.int64]:
    """Return the source pixel (row-major index) of each pixel of the view, int64 (H, W)."""
    grid = np.arange(size.height * size.width).reshape(size.height, size.width)
    for op in view.ops:
        grid = _moved(op, grid)
    return grid


def axis_indices(op: Op, size: Size) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the source rows (h,) and columns (w,), int64, that a crop, scale or resize reads."""
    after = _size_after(op, size, View(op.name))
    if op.name == "crop":
        place = cast(str, op.args[0])
        return (
            _start(place, "t", size.height, after.height) + np.arange(after.height),
            _start(place, "l", size.width, after.width) + np.arange(after.width),
        )
    return nearest_indices(size.height, after.height), nearest_indices(size.width, after.width)


def nearest_indices(source: int, target: int) -> NDArray[np.int64]:
    """Return the source index of each target index, int64 (target,), as torch's "nearest".

    torch computes floor(i * source / target) with the ratio in float32; so does this.
    """
    ratio = np.float32(source) / np.float32(target)
    indices = np.floor(np.arange(target, dtype=np.float32) * ratio).astype(np.int64)
    return cast(NDArray[np.int64], np.minimum(indices, source - 1))


def can_view_on_host(views: Sequence[View], merge: Merge, sizes: Sequence[Size]) -> bool:
    """Tell whether views can be evaluated one by one: the mean of flips and quarter turns.

    Args:
        views: The views of a policy.
        merge: How they become one.
        sizes: The members' input sizes; a quarter turn must not change one.
    """
    moves = all(op.name in _MOVES for view in views for op in view.ops)
    return merge == "mean" and moves and all(output_size(v, s) == s for v in views for s in sizes)


@dataclass(frozen=True, slots=True, eq=False)
class HostView:
    """Rows of uint8 images (N, H, W, C) under a view that the host makes, as they are sliced."""

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


def _start(place: str, near: str, side: int, crop: int) -> int:
    """Return the first row or column of ttach's crop of that name."""
    if place == "center":
        return side // 2 - crop // 2
    return 0 if near in place else side - crop


def _size_after(op: Op, size: Size, view: View) -> Size:
    match op.name:
        case "rot90" if cast(int, op.args[0]) % 2:
            size = Size(size.width, size.height)
        case "scale":
            factor = cast(float, op.args[0])
            size = Size(int(size.height * factor), int(size.width * factor))
        case "resize":
            size = Size(cast(int, op.args[0]), cast(int, op.args[1]))
        case "crop":
            crop = Size(cast(int, op.args[1]), cast(int, op.args[2]))
            if crop.height > size.height or crop.width > size.width:
                raise UsageError(f"view {view.name}: a crop of {crop} from an image of {size}")
            size = crop
    if size.height < 1 or size.width < 1:
        raise UsageError(f"view {view.name} leaves no pixels: {size}")
    if max(size.height, size.width) > MAX_SIDE:
        raise UsageError(f"view {view.name} is {size}; a side has at most {MAX_SIDE} pixels")
    return size


def _moved(op: Op, grid: NDArray[np.int64]) -> NDArray[np.int64]:
    size = Size(*grid.shape)
    match op.name:
        case "hflip":
            return grid[:, ::-1]
        case "vflip":
            return grid[::-1]
        case "rot90":
            return np.rot90(grid, cast(int, op.args[0]))
        case "crop" | "scale" | "resize":
            rows, columns = axis_indices(op, size)
            return grid[rows][:, columns]
        case "add" | "multiply" | "jitter":  # other values, where they are
            return grid
        case _:
            assert_never(op.name)
