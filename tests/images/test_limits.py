"""An image over the limit is refused by its header alone."""

import pytest

from ensemble.errors import ImageError
from ensemble.images.limits import check_size
from ensemble.records import DecodePolicy


def test_as_many_pixels_as_allowed_are_fine() -> None:
    check_size(10, 100, DecodePolicy(max_pixels=1000))


def test_one_pixel_more_is_refused_with_the_flag() -> None:
    with pytest.raises(ImageError, match="7x143 pixels, over the limit of 1000 .--max-pixels."):
        check_size(7, 143, DecodePolicy(max_pixels=1000))
