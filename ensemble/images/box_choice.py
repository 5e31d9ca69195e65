"""One box an image, of those that a detector gives: by a rule, or else by a declared fallback."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Boxes, Vector
from ensemble.boxes import RULES, Box, BoxRule, Fallback
from ensemble.errors import UsageError
from ensemble.records import Size, check_choice

DECIMALS: Final = 2
"""The decimals of a side: a box is what its row in a table says, to the hundredth of a pixel."""


@dataclass(frozen=True, slots=True)
class ChosenBox:
    """The box of an image, its score (0 for a fallback), and how many boxes might have been taken.

    `odd` tells that the detector gave NaN or infinity, so that the fallback was taken.
    """

    box: Box
    score: float
    count: int
    odd: bool = False


def check_rule(rule: BoxRule) -> None:
    """Check the numbers of a rule.

    Raises:
        UsageError: one is out of range, or `unsure` is above `sure`.
    """
    for name, most in (("sure", 1.0), ("unsure", 1.0), ("centre", 0.5)):
        value = getattr(rule, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value <= most:
            raise UsageError(f"{name} {value!r}: expected a number above 0, {most:g} at most")
    if rule.unsure > rule.sure:
        raise UsageError(
            f"unsure {rule.unsure} is above sure {rule.sure}: a box is sure before it is unsure"
        )
    check_choice("fallback", rule.fallback, Fallback)


def choose(boxes: Boxes, scores: Vector, size: Size, rule: BoxRule) -> ChosenBox:
    """Choose the box of an image.

    Args:
        boxes: float64 (K, 4), left, top, right, bottom in pixels of the image; they may lie over
            its border. One that shows none of the image is no box.
        scores: float64 (K,), 0 to 1; 0 for rows that hold no box.
        size: the size of the image.
        rule: which box is taken; of equal ones the first.
    """
    found = scores >= rule.unsure  # False for NaN
    if not np.isfinite(scores).all() or not np.isfinite(boxes[found]).all():
        return ChosenBox(fallback_box(size, rule.fallback), 0.0, 0, odd=True)
    boxes = np.round(boxes, DECIMALS)
    areas = _shares(boxes, size)
    found &= areas > 0
    away = _away(boxes, size)
    worth = np.where(found, scores * areas * np.maximum(1 - 2 * away, 0), -1.0)
    for name, taken in (
        ("sure", found & (scores >= rule.sure)),
        ("centred", found & (away <= rule.centre)),
    ):
        if taken.any():
            best = int(np.where(taken, worth, -1.0).argmax())
            left, top, right, bottom = map(float, boxes[best])
            box = Box(left, top, right, bottom, name)
            return ChosenBox(box, float(scores[best]), int(found.sum()))
    return ChosenBox(fallback_box(size, rule.fallback), 0.0, int(found.sum()))


def fallback_box(size: Size, fallback: Fallback) -> Box:
    """Return the box of an image for which no other was taken."""
    if fallback == "whole":
        return Box(0.0, 0.0, float(size.width), float(size.height), RULES[-1])
    side = min(size.height, size.width)
    left, top = (size.width - side) // 2, (size.height - side) // 2
    return Box(float(left), float(top), float(left + side), float(top + side), RULES[-1])


def is_inside_out(boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which boxes (..., 4) end before they begin: their sides are in another order."""
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    return np.asarray((right < left) | (bottom < top))


def _shares(boxes: Boxes, size: Size) -> Vector:
    """Return the share of the image's area that each box shows, (K,)."""
    sides = np.array([size.width, size.height, size.width, size.height], np.float64)
    left, top, right, bottom = np.clip(boxes, 0, sides).T
    widths, heights = np.maximum(right - left, 0), np.maximum(bottom - top, 0)
    return np.asarray(widths * heights / (size.width * size.height), np.float64)


def _away(boxes: Boxes, size: Size) -> Vector:
    """Return how far each box's centre is from the image's, as a share of its sides, (K,)."""
    left, top, right, bottom = boxes.T
    across = np.abs((left + right) / 2 / size.width - 0.5)
    down = np.abs((top + bottom) / 2 / size.height - 0.5)
    return np.asarray(np.maximum(across, down), np.float64)
