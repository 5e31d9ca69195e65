"""Images calibrate or judge by the hash of their bytes; what cannot be decoded does neither."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from fake_workers import Told
from toys import save_images

from ensemble.errors import ImageError, UsageError
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import scan
from ensemble.pipeline.calibration_images import calibration_pixels, decoded, divide
from ensemble.progress import Quiet
from ensemble.records import DecodePolicy, Preprocess, Size

GEOMETRY = Preprocess(Size(8, 6), "crop", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3).geometry


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return save_images(tmp_path / "photographs", 24)


def hashed(folder: Path) -> list[Hashed]:
    return hash_sources(scan([folder]).images, 1)


def cut_short(folder: Path, number: int) -> None:
    path = folder / f"img{number}.png"
    path.write_bytes(path.read_bytes()[:80])


def test_no_bytes_both_calibrate_and_judge(photographs: Path) -> None:
    for number in range(1, 5):
        shutil.copy(photographs / f"img{number}.png", photographs / f"copy{number}.png")
    images = hash_sources(scan([photographs]).images, 1)
    calibrating, judging = divide(images, 8)
    assert len(calibrating) == 8
    assert not {i.sha256 for i in calibrating} & {i.sha256 for i in judging}
    assert {i.sha256 for i in calibrating} | {i.sha256 for i in judging} == {
        i.sha256 for i in images
    }


def test_one_image_cannot_be_divided(photographs: Path) -> None:
    images = hash_sources(scan([photographs]).images, 1)[:1]
    with pytest.raises(UsageError, match="1 images that differ"):
        divide(images, 8)


def test_what_cannot_be_decoded_is_left_out_and_told(photographs: Path) -> None:
    cut_short(photographs, 3)
    told = Told()
    pixels = calibration_pixels(hashed(photographs), GEOMETRY, DecodePolicy(), told)
    assert (pixels.shape, pixels.dtype) == ((23, 8, 6, 3), np.uint8)
    assert len(told.said) == 1
    assert told.said[0].startswith("1 images cannot be used to calibrate: ")


def test_where_none_can_be_decoded_the_first_says_why(photographs: Path) -> None:
    for number in (1, 2):
        cut_short(photographs, number)
    with pytest.raises(UsageError, match="none of the images that calibrate can be used: "):
        calibration_pixels(hashed(photographs)[:2], GEOMETRY, DecodePolicy(), Quiet())


def test_each_image_is_decoded_or_says_why_not_in_its_place(photographs: Path) -> None:
    cut_short(photographs, 3)
    images = hashed(photographs)
    found = decoded(images, GEOMETRY, DecodePolicy())
    bad = [i.source.id for i, got in zip(images, found, strict=True) if isinstance(got, ImageError)]
    assert bad == ["img3"]
    assert {got.shape for got in found if not isinstance(got, ImageError)} == {(8, 6, 3)}
