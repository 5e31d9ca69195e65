"""What members take of a file: decoded once, its box cut out in every way that is wanted."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ensemble.boxes import Box, Crop
from ensemble.images import input as inputs
from ensemble.images.input import input_of
from ensemble.images.reading import Hashed
from ensemble.images.resize import resize
from ensemble.images.sources import Source
from ensemble.records import DecodePolicy, Geometry, Preprocess, Size

PRE = Preprocess(Size(8, 8), "squash", 1.0, "bilinear", (0.2, 0.4, 0.6), (1.0,) * 3)
POLICY = DecodePolicy()


def photograph() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def made(geometry: Geometry, box: Box | None = None) -> np.ndarray:
    stream = io.BytesIO()
    photograph().save(stream, "PNG")
    image = Hashed(Source("a", Path("a.png")), "", 0, box)
    return input_of(stream.getvalue(), image, POLICY)(geometry)[0]


def cropped(margin: float = 0.0, **more: object) -> Geometry:
    return replace(replace(PRE, crop=Crop(margin, square=False)).geometry, **more)  # type: ignore[arg-type]


def test_without_a_crop_the_whole_image_is_resized() -> None:
    assert np.array_equal(made(PRE.geometry), resize(photograph(), PRE.geometry))


def test_with_a_crop_the_box_is_cut_out_and_resized() -> None:
    part = photograph().crop((4, 5, 20, 17))
    assert np.array_equal(made(cropped(), Box(4, 5, 20, 17)), resize(part, PRE.geometry))


def test_a_border_has_the_members_mean_colour() -> None:
    # a box of 8x8, half of it above the image
    pixels = made(cropped(), Box(4, -4, 12, 4))
    assert (pixels[:4] == [51, 102, 153]).all()
    assert np.array_equal(pixels[4:], np.asarray(photograph())[:4, 4:12])


def test_a_grey_member_sees_grey_crops_with_a_grey_border() -> None:
    grey = replace(PRE, mean=(0.5,), std=(1.0,), crop=Crop(0.0, square=False)).geometry
    pixels = made(grey, Box(4, -4, 12, 4))
    assert pixels.shape == (8, 8, 1)
    assert (pixels[:4] == 128).all()
    assert np.array_equal(pixels[4:, :, 0], np.asarray(photograph().convert("L"))[:4, 4:12])


def test_bands_are_cut_out_each_alone() -> None:
    stream = io.BytesIO()
    bands = np.random.default_rng(1).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    np.save(stream, bands)
    pre = replace(PRE, mean=(0.0, 0.2, 0.4, 1.0), std=(1.0,) * 4, crop=Crop(0.0, square=False))
    image = Hashed(Source("a", Path("a.npy")), "", 0, Box(4, -4, 12, 4))
    pixels, _ = input_of(stream.getvalue(), image, POLICY)(pre.geometry)
    assert (pixels[:4] == [0, 51, 102, 255]).all()
    assert np.array_equal(pixels[4:], bands[:4, 4:12])


def test_jittered_boxes_stand_one_below_the_other() -> None:
    jitters = ((0.0, 0.0, 0.0), (0.25, 0.0, 0.0), (0.0, 0.0, 0.25))
    pixels = made(cropped(jitters=jitters), Box(4, 4, 12, 12))
    assert pixels.shape == (24, 8, 3)
    moved = [Box(4, 4, 12, 12), Box(6, 4, 14, 12), Box(2, 2, 14, 14)]
    alone = [made(cropped(), box) for box in moved]
    assert np.array_equal(pixels, np.concatenate(alone))


def test_a_picture_is_decoded_once_for_all_geometries(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    decode = inputs.decode
    monkeypatch.setattr(inputs, "decode", lambda *a: calls.append(a) or decode(*a))
    stream = io.BytesIO()
    photograph().save(stream, "PNG")
    make = input_of(stream.getvalue(), Hashed(Source("a", Path("a.png")), "", 0), POLICY)
    for side in (4, 8):
        make(replace(PRE, size=Size(side, side)).geometry)
    assert len(calls) == 1
