"""The orientation of a file is applied as Pillow does, ignored on request, and never a fault."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import chunk, encoded, picture
from PIL import Image, ImageOps

from ensemble.images.decode import decode
from ensemble.records import DecodePolicy

STRICT = DecodePolicy()


def pixels(data: bytes, policy: DecodePolicy = STRICT) -> NDArray[np.uint8]:
    decoded = decode(data, policy)
    assert decoded.image.mode == "RGB"
    return np.asarray(decoded.image)


def oriented(value: int, kind: str = "JPEG", order: str = "") -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif[0x0112] = value
    return encoded(picture(16, 24), kind, exif=exif.tobytes())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("value", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(value: int, kind: str) -> None:
    data = oriented(value, kind)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(pixels(data), expected)


def test_exif_orientation_is_ignored_on_request() -> None:
    assert pixels(oriented(6), replace(STRICT, exif="ignore")).shape == (16, 24, 3)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_the_orientation_of_a_tiff_follows_the_policy(value: int, exif: str) -> None:
    stored = picture(16, 24)
    tags = Image.Exif()
    tags[0x0112] = value
    expected = stored
    if exif == "apply":
        upright = stored.copy()
        upright.getexif()[0x0112] = value
        expected = ImageOps.exif_transpose(upright)
    found = pixels(encoded(stored, "TIFF", exif=tags), replace(STRICT, exif=exif))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [0, 9])
def test_an_orientation_that_does_not_exist_is_none(value: int) -> None:
    assert pixels(oriented(value)).shape == (16, 24, 3)


@pytest.mark.parametrize(
    "exif", [b"garbage", b"MM\0*", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09\x01"]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_malformed_exif_is_reported_and_ignored(exif: bytes, kind: str) -> None:
    plain = encoded(picture(), "JPEG")
    data = plain[:2] + segment(b"Exif\0\0" + exif) + plain[2:]
    if kind == "PNG":
        plain = encoded(picture())
        data = plain[:33] + chunk(b"eXIf", exif) + plain[33:]
    decoded = decode(data, STRICT)
    assert decoded.warnings == ("exif",)
    assert decoded.image.size == (32, 24)


def segment(payload: bytes) -> bytes:
    return b"\xff\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload  # with a fill byte
