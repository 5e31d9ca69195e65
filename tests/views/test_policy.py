"""Views against ttach: the same pixels in the same order, for every preset."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import ttach
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.records import Op, Size, View
from ensemble.views import parse
from ensemble.views import policy as views
from ensemble.views.pixels import output_size, pixel_map

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


def test_a_compose_is_read_into_the_same_views() -> None:
    compose = ttach.Compose(
        [ttach.HorizontalFlip(), ttach.Rotate90([0, 90]), ttach.Scale([1, 1.5]), ttach.Add([0, 1])]
    )
    ours = [shown(v, Size(10, 8)) for v in parse.from_ttach(compose, "mine:tta")]
    without_add = ttach.Compose(compose.aug_transforms[:-1])
    theirs = [p for p in shown_by_ttach(without_add, Size(10, 8)) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_compose_of_a_preset_is_that_preset() -> None:
    assert parse.from_ttach(ttach.aliases.d4_transform(), "d4") == views.preset("d4")


def test_an_interpolation_without_a_counterpart_is_refused() -> None:
    compose = ttach.Compose([ttach.Scale([2], interpolation="bilinear")])
    with pytest.raises(UsageError, match="bilinear"):
        parse.from_ttach(compose, "mine:tta")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 28, 224])
def test_nearest_indices_equal_torch(size: int) -> None:
    image = torch.arange(size, dtype=torch.float32).reshape(1, 1, 1, size)
    for factor in (0.3, 0.5, 0.8, 1.1, 1.2, 1.25, 2.0, 3.3):
        target = int(size * factor)
        if target < 1:
            continue
        theirs = torch.nn.functional.interpolate(image, size=(1, target))[0, 0, 0].numpy()
        view = View("resize", (Op("resize", (1, target)),))
        assert np.array_equal(pixel_map(view, Size(1, size))[0], theirs.astype(np.int64))


def test_duplicate_views_are_found_by_what_they_show() -> None:
    twice = views.product(views.preset("flip"), (views.IDENTITY, View("r", (Op("rot90", (2,)),))))
    with pytest.raises(UsageError, match="would count twice"):
        views.check_distinct(twice, Size(8, 8))


def test_views_that_differ_by_arithmetic_are_distinct() -> None:
    brighter = View("add1", (Op("add", (1.0,)),))
    views.check_distinct([views.IDENTITY, brighter], Size(8, 8))


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UsageError, match="crop of 30x30"):
        output_size(views.preset("five_crop(30,30)")[0], Size(28, 28))


@pytest.mark.parametrize(
    "text", ["flop", "five_crop", "hflip(2)", "multiscale(a)", "multiscale(0)"]
)
def test_a_preset_that_is_not_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        views.preset(text)
