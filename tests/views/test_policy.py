"""Views against ttach: the same pixels in the same order, for every preset."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import ttach
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.records import Op, Size, View
from ensemble.views import policy as views
from ensemble.views.pixels import pixel_map

TTACH: dict[str, Callable[[], ttach.Compose]] = {
    "none": lambda: ttach.Compose([]),
    "hflip": ttach.aliases.hflip_transform,
    "vflip": ttach.aliases.vlip_transform,
    "flip": ttach.aliases.flip_transform,
    "d4": ttach.aliases.d4_transform,
    "multiscale(0.8,1,1.2)": lambda: ttach.aliases.multiscale_transform([0.8, 1, 1.2]),
    "multiscale(0.5,1.7)": lambda: ttach.aliases.multiscale_transform([0.5, 1.7]),
    "five_crop(7,6)": lambda: ttach.aliases.five_crop_transform(7, 6),
    "ten_crop(8,5)": lambda: ttach.aliases.ten_crop_transform(8, 5),
}
SIZES = (Size(12, 12), Size(13, 11), Size(9, 16))


def shown(view: View, size: Size) -> NDArray[np.int64]:
    """The pixels of a numbered image that a view shows."""
    return pixel_map(view, size)


def shown_by_ttach(compose: ttach.Compose, size: Size) -> list[NDArray[np.int64]]:
    """The same, by ttach itself."""
    count = size.height * size.width
    image = torch.arange(count, dtype=torch.float64).reshape(1, 1, size.height, size.width)
    return [t.augment_image(image)[0, 0].numpy().astype(np.int64) for t in compose]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", TTACH)
def test_each_preset_equals_ttach_view_by_view(name: str, size: Size) -> None:
    ours = [shown(view, size) for view in views.preset(name)]
    theirs = shown_by_ttach(TTACH[name](), size)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert np.array_equal(mine, other)


def test_every_preset_is_compared() -> None:
    assert {name.partition("(")[0] for name in TTACH} == set(views.presets())


def test_duplicate_views_are_found_by_what_they_show() -> None:
    twice = views.product(views.preset("flip"), (views.IDENTITY, View("r", (Op("rot90", (2,)),))))
    with pytest.raises(UsageError, match="would count twice"):
        views.check_distinct(twice, Size(8, 8))


def test_views_that_differ_by_arithmetic_are_distinct() -> None:
    brighter = View("add1", (Op("add", (1.0,)),))
    views.check_distinct([views.IDENTITY, brighter], Size(8, 8))


@pytest.mark.parametrize(
    "text", ["flop", "five_crop", "hflip(2)", "multiscale(a)", "multiscale(0)"]
)
def test_a_preset_that_is_not_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        views.preset(text)
