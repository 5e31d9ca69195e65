"""Boxes of images: where one lies, how it is chosen of several, how it is widened."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ensemble.errors import UsageError

Fallback: TypeAlias = Literal["centre", "whole"]

RULES: Final = ("sure", "centred", "fallback")
"""How a box was chosen, best first."""

Jitter: TypeAlias = tuple[float, float, float]
"""How a box is moved across and down, and widened beyond its margin, as shares of its own sides."""

MAX_MARGIN: Final = 10
"""The largest share of its own sides by which a box is widened."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in pixels of the image as it is decoded; it may lie over the border.

    `rule` tells how it was chosen, where that is known: "sure", "centred" or "fallback".
    """

    left: float
    top: float
    right: float
    bottom: float
    rule: str = ""

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True, slots=True)
class Crop:
    """How a box is widened: each side is moved out by `margin` times the box's own width or height.

    A `square` one then has the longer of its sides both ways, about the same centre.
    """

    margin: float
    square: bool

    def __str__(self) -> str:
        return f"--margin {self.margin:g}{' --square' if self.square else ''}"


@dataclass(frozen=True, slots=True)
class BoxRule:
    """Which box is taken.

    One whose score is `sure` or more; else one whose score is `unsure` or more and whose centre
    lies within `centre` of the image's, as a share of the image's sides; of several the one with
    the largest product of score, share of the image's area and nearness to its centre. Else the
    `fallback`: the largest square about the centre, or the whole image.
    """

    sure: float = 0.5
    unsure: float = 0.2
    centre: float = 0.25
    fallback: Fallback = "centre"


def crop_told(margin: float | None, *, square: bool) -> Crop | None:
    """Return how boxes are widened, as the flags of these names say; None where they say nothing.

    Raises:
        UsageError: a margin that is no number in its range, or `square` without one.
    """
    if margin is None and square:
        raise UsageError("square goes with margin: give both, or neither")
    if margin is None:
        return None
    number = isinstance(margin, int | float) and not isinstance(margin, bool)
    if not number or not 0 <= margin <= MAX_MARGIN:
        raise UsageError(f"margin {margin!r}: expected a number from 0 to {MAX_MARGIN}")
    return Crop(float(margin), bool(square))
