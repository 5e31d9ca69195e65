"""A scene: one garment, scaled, turned and shifted, on a noisy ground and partly covered."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from ensemble.records import Size

SIDE = 64
"""Height and width of a scene in pixels."""

ANGLE, MOST_ANGLE = 12.0, 20.0
STRETCH = 0.12
"""The spread of the angle of a garment in degrees, the most that it is off, and by how much of
its side a garment may be too high or too low, too wide or too narrow."""

BLUR = (0.2, 1.0)
NOISE = (4.0, 18.0)
"""The radius of the blur in pixels, and the noise of a pixel."""


@dataclass(frozen=True, slots=True)
class Box:
    """What of a scene the garment covers, in pixels: right and bottom are the first beyond it."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """The pixels uint8 (64, 64), where the garment lies, bool (64, 64), and its box.

    What covers the garment, and its blurred rim, change neither.
    """

    pixels: np.ndarray
    mask: np.ndarray
    box: Box


def draw(garment: np.ndarray, side: int, turned: bool, rng: np.random.Generator) -> Drawn:
    """Draw a scene.

    Args:
        garment: uint8 (28, 28), the ground 0.
        side: What its 28 pixels become, but for the stretch: 16 to 44.
        turned: Whether it stands on its head.
        rng: What all else is drawn from.
    """
    angle = float(np.clip(rng.normal(0, ANGLE), -MOST_ANGLE, MOST_ANGLE)) + 180 * turned
    garment = garment[:, ::-1] if rng.random() < 0.5 else garment
    height, width = (round(side * each) for each in rng.uniform(1 - STRETCH, 1 + STRETCH, 2))
    shade = _scaled(garment, Size(height, width), angle)
    cover = _scaled(np.where(garment > 8, np.uint8(255), np.uint8(0)), Size(height, width), angle)
    inside = cover > cover.max() / 2
    found = bounds(inside)
    shape = (found.bottom - found.top, found.right - found.left)
    top, left = (int(rng.integers(0, SIDE - length + 1)) for length in shape)
    placed = np.s_[top : top + shape[0], left : left + shape[1]]
    cut = np.s_[found.top : found.bottom, found.left : found.right]
    mask, light = np.zeros((SIDE, SIDE), bool), _ground(rng)
    mask[placed] = inside[cut]
    dark, bright = rng.uniform(70, 110), rng.uniform(0.3, 0.5)
    light[placed] = np.where(inside[cut], dark + bright * shade[cut], light[placed])
    return Drawn(_seen(light, rng), mask, bounds(mask))


def bounds(mask: np.ndarray) -> Box:
    """Return the smallest box around what is True of a mask bool (H, W); something must be."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _scaled(tile: np.ndarray, size: Size, angle: float) -> np.ndarray:
    """Scale a tile uint8 (28, 28), and turn it: uint8, as large as it then is."""
    bilinear = Image.Resampling.BILINEAR
    scaled = Image.fromarray(tile).resize((size.width, size.height), bilinear)
    return np.asarray(scaled.rotate(angle, bilinear, expand=True))


def _ground(rng: np.random.Generator) -> np.ndarray:
    """Draw a ground float64 (64, 64): a grey that goes over into another, and coarse spots."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    slope = rng.normal(0, 20, 2)
    spots = rng.normal(0, 8, (SIDE // 8, SIDE // 8)).repeat(8, 0).repeat(8, 1)
    return rng.uniform(10, 75) + slope[0] * y + slope[1] * x + spots


def _seen(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a patch over every other scene, blur it, and add noise: uint8 (64, 64)."""
    if rng.random() < 0.5:
        height, width = rng.integers(5, 20, 2).tolist()
        top, left = (int(rng.integers(0, SIDE - length + 1)) for length in (height, width))
        light[top : top + height, left : left + width] = rng.uniform(20, 230)
    whole = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    blurred = np.asarray(whole.filter(ImageFilter.GaussianBlur(rng.uniform(*BLUR))), np.float64)
    noisy = blurred + rng.normal(0, rng.uniform(*NOISE), (SIDE, SIDE))
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)
