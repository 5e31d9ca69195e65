"""A box is widened about its centre, cut out, and padded where it lies over the border."""

import numpy as np
import pytest
from PIL import Image

from ensemble.boxes import Box, Crop
from ensemble.errors import ImageError
from ensemble.images.crops import Region, boxed, cut_out, region_of
from ensemble.records import (
    Geometry,
    Size,
)

GREEN = (10, 200, 30)


def geometry(crop: Crop | None, border: tuple[int, ...] = GREEN) -> Geometry:
    return Geometry(Size(8, 8), "squash", 1.0, "nearest", len(border), (), crop, border)


def numbered(height: int, width: int) -> Image.Image:
    """An image whose pixels tell their places: red is the column, blue the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = np.arange(width), np.arange(height)[:, None]
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("box", "crop", "region"),
    [
        (Box(10, 20, 30, 50), Crop(0, False), Region(10, 20, Size(30, 20))),
        (Box(10, 20, 30, 50), Crop(0.5, False), Region(0, 5, Size(60, 40))),
        (Box(10, 20, 30, 50), Crop(0, True), Region(5, 20, Size(30, 30))),
        (Box(10, 20, 30, 50), Crop(0.5, True), Region(-10, 5, Size(60, 60))),
        (Box(2, 2, 5, 5), Crop(0, False), Region(2, 2, Size(3, 3))),
        (Box(2.2, 2.2, 2.4, 2.4), Crop(0, False), Region(2, 2, Size(1, 1))),
        (Box(-4, -4, 4, 4), Crop(0, False), Region(-4, -4, Size(8, 8))),
    ],
)
def test_a_box_is_widened_by_its_own_sides_about_its_centre(
    box: Box, crop: Crop, region: Region
) -> None:
    assert region_of(box, crop) == region


def test_whole_pixels_are_cut_out_as_they_are() -> None:
    part = np.asarray(cut_out(numbered(20, 30), Box(4, 6, 9, 10), geometry(Crop(0, False))))
    assert part.shape == (4, 5, 3)
    assert part[0, 0].tolist() == [4, 0, 6]
    assert part[-1, -1].tolist() == [8, 0, 9]


@pytest.mark.parametrize("box", [Box(-3, -2, 5, 5), Box(25, 15, 33, 24)])
def test_beyond_the_border_there_is_the_fill_and_nothing_is_stretched(box: Box) -> None:
    part = np.asarray(cut_out(numbered(20, 30), box, geometry(Crop(0, False))))
    height, width = part.shape[:2]
    assert (height, width) == (box.bottom - box.top, box.right - box.left)
    for row in range(height):
        for column in range(width):
            x, y = int(box.left) + column, int(box.top) + row
            inside = 0 <= x < 30 and 0 <= y < 20
            assert part[row, column].tolist() == ([x, 0, y] if inside else list(GREEN))


def test_a_grey_image_is_padded_with_grey() -> None:
    grey = Image.new("L", (4, 4), 9)
    part = np.asarray(cut_out(grey, Box(-1, 0, 4, 4), geometry(Crop(0, False), (77,))))
    assert part[:, 0].tolist() == [77] * 4
    assert part[:, 1:].tolist() == [[9] * 4] * 4


def test_without_a_crop_the_image_is_whole_whatever_its_box() -> None:
    image = numbered(4, 4)
    assert cut_out(image, Box(0, 0, 2, 2), geometry(None)) is image


def test_an_image_without_a_box_is_refused() -> None:
    with pytest.raises(ImageError, match="no box of it was given"):
        cut_out(numbered(4, 4), None, geometry(Crop(0, False)))


def test_a_box_of_too_many_pixels_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(ImageError, match=r"--margin") as caught:
        cut_out(numbered(4, 4), Box(-90_000, 0, 90_000, 4), geometry(Crop(1, True)))
    assert caught.value.kind == "too large"


def test_the_box_of_a_picture_is_taken_as_it_is() -> None:
    part = np.asarray(boxed(numbered(20, 30), Box(28, 18, 32, 22)))
    assert part[:, :, 0].tolist() == [[28, 29, 0, 0], [28, 29, 0, 0], [0] * 4, [0] * 4]
    image = numbered(2, 2)
    assert boxed(image, None) is image


@pytest.mark.parametrize(
    ("jitter", "region"),
    [
        ((0.5, 0.0, 0.0), Region(20, 20, Size(30, 20))),
        ((0.0, -0.5, 0.0), Region(10, 5, Size(30, 20))),
        ((0.0, 0.0, 0.5), Region(0, 5, Size(60, 40))),
        ((0.0, 0.0, -0.25), Region(15, 28, Size(15, 10))),
    ],
)
def test_a_jitter_moves_a_box_by_its_own_sides_and_adds_to_its_margin(
    jitter: tuple[float, float, float], region: Region
) -> None:
    assert region_of(Box(10, 20, 30, 50), Crop(0, False), jitter) == region
