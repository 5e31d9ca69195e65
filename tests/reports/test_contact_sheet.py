"""The contact sheet shows the least certain boxes first, drawn where they are."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ensemble.boxes import Box
from ensemble.images.reading import hash_sources
from ensemble.images.sources import Source
from ensemble.records import DecodePolicy
from ensemble.reports.contact_sheet import MOST, Tile, contact_sheet

WIDTH, HEIGHT, GAP = 150, 172, 6


def tile(folder: Path, name: str, score: float, box: Box, colour: str = "white") -> Tile:
    path = folder / f"{len(list(folder.iterdir()))}.png"
    Image.new("RGB", (72, 72), colour).save(path)
    return Tile(hash_sources([Source(name, path)], 1)[0], box, score)


def sheet(tiles: list[Tile]) -> NDArray[np.uint8]:
    data = contact_sheet(tiles, DecodePolicy(), 2)
    return np.asarray(Image.open(io.BytesIO(data)))


BOX = Box(9, 18, 36, 54, "sure")


def test_the_lowest_scores_come_first(tmp_path: Path) -> None:
    colours = {0.9: "red", 0.0: "lime", 0.4: "blue"}
    pixels = sheet([tile(tmp_path, "a", score, BOX, name) for score, name in colours.items()])
    middles = [pixels[GAP + 120, GAP + number * WIDTH + 120].tolist() for number in range(3)]
    assert middles == [[0, 255, 0], [0, 0, 255], [255, 0, 0]]


@pytest.mark.parametrize(
    ("rule", "colour"),
    [("sure", "2e9e4f"), ("centred", "d98a00"), ("fallback", "d03030"), ("", "3060d0")],
)
def test_a_frame_is_drawn_around_a_box_in_the_colour_of_its_rule(
    tmp_path: Path, rule: str, colour: str
) -> None:
    pixels = sheet([tile(tmp_path, "a", 0.5, Box(9, 18, 36, 54, rule))])
    drawn = (pixels == list(bytes.fromhex(colour))).all(-1)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    # an image of 72 pixels is shown with 144, and the frame is 2 wide
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert (np.array(found) - GAP).tolist() == [16, 34, 74, 110]


def test_what_is_in_a_small_box_stays_to_be_seen(tmp_path: Path) -> None:
    small = tile(tmp_path, "a", 0.5, Box(30, 30, 32, 32, "sure"), "red")
    inside = sheet([small])[GAP + 60 : GAP + 64, GAP + 60 : GAP + 64]
    assert (inside == [255, 0, 0]).all()


def test_the_frame_of_a_whole_image_is_on_its_tile(tmp_path: Path) -> None:
    pixels = sheet([tile(tmp_path, "a", 0.0, Box(0, 0, 72, 72, "fallback"))])
    drawn = (pixels == list(bytes.fromhex("d03030"))).all(-1)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert (np.array(found) - GAP).tolist() == [0, 0, 144, 144]


def test_there_are_at_most_a_hundred_tiles(tmp_path: Path) -> None:
    one = tile(tmp_path, "a", 0.5, BOX)
    assert sheet([one] * (MOST + 40)).shape == sheet([one] * MOST).shape
    assert sheet([one] * MOST).shape == (10 * HEIGHT + GAP, 10 * WIDTH + GAP, 3)
    assert sheet([one] * 3).shape == (HEIGHT + GAP, 3 * WIDTH + GAP, 3)


@pytest.mark.parametrize("name", ["ü\n\x1b[31m漢", "x" * 400, ""])
def test_any_id_can_be_written(tmp_path: Path, name: str) -> None:
    assert sheet([tile(tmp_path, name, 0.5, BOX)]).shape == (HEIGHT + GAP, WIDTH + GAP, 3)


def test_an_image_that_is_no_picture_is_a_grey_tile(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((5, 5, 4), np.uint8))
    pixels = sheet([Tile(hash_sources([Source("a", path)], 1)[0], BOX, 0.5)])
    assert pixels[GAP + 70, GAP + 70].tolist() == [0xDD] * 3


def test_no_crops_are_an_empty_sheet(tmp_path: Path) -> None:
    assert sheet([]).shape == (HEIGHT + GAP, WIDTH + GAP, 3)


def test_the_same_crops_are_the_same_bytes(tmp_path: Path) -> None:
    tiles = [tile(tmp_path, name, 0.5, BOX) for name in "abc"]
    assert contact_sheet(tiles, DecodePolicy(), 1) == contact_sheet(tiles, DecodePolicy(), 4)
