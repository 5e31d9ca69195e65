"""Thumbnails: small JPEGs in the page, the same bytes each time, and why one is lacking."""

import base64
import io
from pathlib import Path

import numpy as np
from pictures import picture
from PIL import Image

from ensemble.boxes import Box
from ensemble.images.sources import Source
from ensemble.records import DecodePolicy
from ensemble.reports.page.thumbnails import SIDE, Images, thumbnails


def images(folder: Path, sizes: dict[str, tuple[int, int]]) -> Images:
    for name, size in sizes.items():
        picture(*size).save(folder / f"{name}.png")
    sources = {name: Source(name, folder / f"{name}.png") for name in sizes}
    return Images(sources, DecodePolicy(), {})


def opened(uri: str) -> Image.Image:
    assert uri.startswith("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_large_images_become_small_and_small_ones_stay(tmp_path: Path) -> None:
    found = thumbnails(images(tmp_path, {"a": (400, 200), "b": (28, 28)}), ["a", "b"], 2)
    assert opened(found["a"].uri).size == (SIDE // 2, SIDE)
    assert (found["a"].width, found["a"].height, found["a"].small) == (SIDE // 2, SIDE, False)
    assert opened(found["b"].uri).size == (28, 28)
    assert found["b"].small


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    given = images(tmp_path, {f"i{n}": (50, 60) for n in range(9)})
    assert thumbnails(given, given.sources, 1) == thumbnails(given, given.sources, 4)


def test_what_is_not_there_or_broken_says_so(tmp_path: Path) -> None:
    given = images(tmp_path, {"a": (30, 30)})
    (tmp_path / "a.png").write_bytes(b"no image")
    found = thumbnails(given, ["a", "b"], 1)
    assert found["b"].lacking == "no such image was found"
    assert found["a"].uri == ""
    assert found["a"].lacking


def test_pictures_end_where_there_is_no_more_room(tmp_path: Path) -> None:
    given = images(tmp_path, {f"i{n}": (90, 90) for n in range(4)})
    whole = thumbnails(given, ["i0", "i1", "i2", "i3"], 1)
    room = len(whole["i0"].uri) + len(whole["i1"].uri)
    found = thumbnails(given, ["i0", "i1", "i2", "i3"], 1, room)
    assert [bool(each.uri) for each in found.values()] == [True, True, False, False]
    assert "too large a page" in found["i3"].lacking


def test_a_box_is_drawn(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100), "white").save(tmp_path / "a.png")
    sources, box = {"a": Source("a", tmp_path / "a.png")}, Box(10, 10, 90, 90, "fallback")
    found = thumbnails(Images(sources, DecodePolicy(), {"a": box}), ["a"], 1)["a"]
    pixels = np.asarray(opened(found.uri), np.int64)
    assert pixels[10, 50, 0] > pixels[10, 50, 2] + 60
    assert pixels[50, 50].min() > 240
