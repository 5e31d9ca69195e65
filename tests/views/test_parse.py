"""A ttach.Compose is read into the same views, or its transform is named."""

import numpy as np
import pytest
import torch
import ttach
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.records import Size, View
from ensemble.views import parse
from ensemble.views import policy as views
from ensemble.views.pixels import pixel_map


def shown(view: View, size: Size) -> NDArray[np.int64]:
    """The pixels of a numbered image that a view shows."""
    return pixel_map(view, size)


def shown_by_ttach(compose: ttach.Compose, size: Size) -> list[NDArray[np.int64]]:
    """The same, by ttach itself."""
    count = size.height * size.width
    image = torch.arange(count, dtype=torch.float64).reshape(1, 1, size.height, size.width)
    return [t.augment_image(image)[0, 0].numpy().astype(np.int64) for t in compose]


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
