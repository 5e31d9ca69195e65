"""Views that only move pixels show on the host what they show in the graph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toys import MakeMember

from ensemble.errors import UsageError
from ensemble.inference import start as lineup
from ensemble.members.member import open_member
from ensemble.records import Op, Size, View
from ensemble.views import policy as views
from ensemble.views.pixels import Turned, apart, output_size, pixel_map
from ensemble.views.policy import IDENTITY, preset

SQUARE, WIDE = Size(8, 8), Size(8, 12)


def pixels(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("view", preset("d4"), ids=lambda view: view.name)
def test_a_turned_image_scores_as_the_view_in_the_graph(
    make_member: MakeMember, view: View
) -> None:
    member = open_member(Path(make_member()))
    plain, turned = (
        lineup.start(member, (each,), "mean", device="cpu", threads=1, batch=4)
        for each in (IDENTITY, view)
    )
    rows = np.array([4, 0, 2])
    shown = Turned(pixels(), rows, view)[0:3]
    assert (
        plain.scorer.score(shown)["label"] == turned.scorer.score(pixels()[rows])["label"]
    ).all()


def test_rows_are_taken_as_they_are_sliced() -> None:
    images = Turned(pixels(), np.array([5, 3, 1, 0]), IDENTITY)
    assert len(images) == 4
    assert (images[1:3] == pixels()[[3, 1]]).all()


@pytest.mark.parametrize(
    ("policy", "merge", "size", "expected"),
    [
        ("flip", "mean", WIDE, True),
        ("d4", "mean", SQUARE, True),
        ("d4", "mean", WIDE, False),
        ("none", "mean", WIDE, True),
        ("hflip", "gmean", SQUARE, False),
        ("multiscale(1,0.5)", "mean", SQUARE, False),
    ],
)
def test_flips_and_quarter_turns_under_a_mean_stand_apart(
    policy: str, merge: str, size: Size, expected: bool
) -> None:
    assert apart(preset(policy), merge, [SQUARE, size]) == expected  # type: ignore[arg-type]


def test_a_view_that_changes_values_is_not_one_that_moves_pixels() -> None:
    assert not apart([IDENTITY, View("lighter", (Op("add", (0.1,)),))], "mean", [SQUARE])


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


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UsageError, match="crop of 30x30"):
        output_size(views.preset("five_crop(30,30)")[0], Size(28, 28))
