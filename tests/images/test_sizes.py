"""The size of an image is that of its decoded pixels, whatever its format and its orientation."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ensemble.images.decode import decode
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sizes import size_of, sizes_of
from ensemble.images.sources import Source
from ensemble.records import DecodePolicy, Size

FORMATS = ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"]


def encoded(kind: str, turn: int = 1, size: tuple[int, int] = (30, 20)) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", size, "red").save(stream, kind, **({"exif": exif} if turn > 1 else {}))
    return stream.getvalue()


def hashed(folder: Path, data: bytes, name: str = "a.img") -> Hashed:
    path = folder / name
    path.write_bytes(data)
    return hash_sources([Source("a", path)], 1)[0]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_a_size_is_that_of_the_decoded_pixels(
    tmp_path: Path, kind: str, turn: int, exif: str
) -> None:
    policy = DecodePolicy(exif="apply" if exif == "apply" else "ignore")
    data = encoded(kind, 1 if kind in ("BMP", "GIF") else turn)
    image = decode(data, policy).image
    assert size_of(hashed(tmp_path, data), policy) == Size(image.height, image.width)


def test_an_array_and_a_tiff_of_bands_have_sizes(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros((5, 7, 4), np.uint8))
    assert size_of(hashed(tmp_path, stream.getvalue()), DecodePolicy()) == Size(5, 7)


def test_what_is_no_image_has_none(tmp_path: Path) -> None:
    assert size_of(hashed(tmp_path, b"<html>"), DecodePolicy()) is None
    assert size_of(hashed(tmp_path, b"\xff\xd8\xff\xe0no"), DecodePolicy()) is None


def test_a_file_that_is_gone_or_changed_has_none(tmp_path: Path) -> None:
    image = hashed(tmp_path, encoded("PNG"))
    image.source.path.write_bytes(encoded("PNG", size=(5, 5)))
    assert size_of(image, DecodePolicy()) is None
    image.source.path.unlink()
    assert size_of(image, DecodePolicy()) is None


def test_sizes_come_in_the_order_of_the_images(tmp_path: Path) -> None:
    images = [hashed(tmp_path, encoded("PNG", size=(n, 3)), f"{n}.png") for n in range(1, 20)]
    found = sizes_of(images, DecodePolicy(), 4)
    assert found == [Size(3, n) for n in range(1, 20)]
