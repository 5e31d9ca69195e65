"""Views that only move pixels show on the host what they show in the graph."""

from pathlib import Path

import numpy as np
import pytest
from toys import MakeMember

from ensemble.inference import start as lineup
from ensemble.members.member import open_member
from ensemble.records import Op, Size, View
from ensemble.views.pixels import Turned, apart
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
