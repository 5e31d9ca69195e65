"""Laws of `ensemble.preprocess`: its pixels are timm's, whatever the size."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval

from ensemble.arrays import Pixels
from ensemble.errors import ImageError
from ensemble.images.resize import back_to_image, resize
from ensemble.records import Fit, Interpolation, Preprocess, Size

pytestmark = pytest.mark.filterwarnings("error")

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CROP_MODES = {"crop": "center", "squash": "squash", "pad": "border"}
FITS = get_args(Fit)
FILTERS = get_args(Interpolation)
TARGETS = [Size(32, 32), Size(31, 31), Size(24, 40), Size(41, 23)]
IMAGES = [Size(45, 67), Size(67, 45), Size(64, 64), Size(20, 30), Size(33, 32), Size(1, 1),
          Size(1, 9), Size(9, 1), Size(7, 200)]  # fmt: skip


def picture(size: Size, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size.height, size.width, 3), dtype=np.uint8))


def spec(
    size: Size, fit: Fit = "crop", crop_pct: float = 0.875,
    interpolation: Interpolation = "bicubic", channels: int = 3,
) -> Preprocess:  # fmt: skip
    return Preprocess(size, fit, crop_pct, interpolation, MEAN[:channels], STD[:channels])


def timm_pixels(image: Image.Image, pre: Preprocess) -> Pixels:
    """The oracle: timm's transform, stopped before the normalisation."""
    transform = transforms_imagenet_eval(
        img_size=(pre.size.height, pre.size.width),
        crop_pct=pre.crop_pct,
        crop_mode=CROP_MODES[pre.fit],
        interpolation=pre.interpolation,
        mean=pre.mean,
        std=pre.std,
        use_prefetcher=True,
    )
    tensor = transform(image.convert("L") if len(pre.mean) == 1 else image)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.uint8
    return np.asarray(tensor.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_pixels_are_timms(fit: Fit, interpolation: Interpolation, target: Size) -> None:
    for size in IMAGES:
        for crop_pct in (0.875, 1.0, 0.95, 1.3):
            pre = spec(target, fit, crop_pct, interpolation)
            image = picture(size)
            try:
                expected = timm_pixels(image, pre)
            except ValueError:  # timm rounds the short side of a narrow image to nothing
                assert (fit, min(size.height, size.width) < 10) == ("pad", True)
                continue
            message = f"{size} at {crop_pct}"
            np.testing.assert_array_equal(resize(image, pre.geometry), expected, message)


@pytest.mark.parametrize("fit", FITS)
def test_grey_pixels_are_timms(fit: Fit) -> None:
    pre, image = spec(Size(24, 24), fit, channels=1), picture(Size(30, 50))
    found = resize(image, pre.geometry)
    assert found.shape == (24, 24, 1)
    np.testing.assert_array_equal(found, timm_pixels(image, pre))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), target=st.sampled_from(TARGETS),
    fit=st.sampled_from(FITS), interpolation=st.sampled_from(FILTERS),
    crop_pct=st.floats(0.3, 1.5),
)  # fmt: skip
def test_pixels_are_timms_at_any_size(
    height: int, width: int, target: Size, fit: Fit, interpolation: Interpolation,
    crop_pct: float,
) -> None:  # fmt: skip
    pre, image = spec(target, fit, crop_pct, interpolation), picture(Size(height, width))
    found = resize(image, pre.geometry)
    assert found.shape == (target.height, target.width, 3)
    try:
        expected = timm_pixels(image, pre)
    except ValueError:
        assert fit == "pad"
    else:
        np.testing.assert_array_equal(found, expected)


def test_pixels_are_contiguous_writable_bytes() -> None:
    for fit in FITS:
        found = resize(picture(Size(50, 70)), spec(Size(32, 32), fit).geometry)
        assert found.dtype == np.uint8
        assert found.flags.c_contiguous
        assert found.flags.writeable


def test_one_missing_column_is_padded_on_the_right() -> None:
    found = resize(picture(Size(32, 31)), spec(Size(32, 32), "pad", 1.0).geometry)
    assert found[:, 31].tolist() == [[124, 116, 104]] * 32


def test_an_image_of_the_right_size_is_unchanged() -> None:
    image = picture(Size(32, 32))
    found = resize(image, spec(Size(32, 32), crop_pct=1.0).geometry)
    np.testing.assert_array_equal(found, image)


def test_the_border_has_the_colour_of_the_mean() -> None:
    found = resize(picture(Size(10, 20)), spec(Size(20, 20), "pad", 1.0).geometry)
    assert found[0, 0].tolist() == [124, 116, 104]


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("size", [Size(1, 50_000), Size(50_000, 1)], ids=str)
def test_a_line_is_padded_or_squashed(fit: Fit, size: Size) -> None:
    assert resize(picture(size), spec(Size(32, 32), fit).geometry).shape == (32, 32, 3)


@pytest.mark.parametrize("target", [Size(224, 224), Size(224, 192)], ids=str)
def test_a_line_too_long_to_be_cropped_is_refused(target: Size) -> None:
    with pytest.raises(ImageError, match="crop the image first") as caught:
        resize(picture(Size(1, 50_000)), spec(target).geometry)
    assert (caught.value.stage, caught.value.kind) == ("decode", "too large")


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("source", [Size(64, 128), Size(128, 64), Size(96, 96)])
@pytest.mark.parametrize("crop_pct", [1.0, 0.8])
def test_a_box_of_the_input_is_found_again_in_the_image(
    fit: Fit, source: Size, crop_pct: float
) -> None:
    geometry = Preprocess(Size(32, 32), fit, crop_pct, "nearest", (0.0,), (1.0,)).geometry
    pixels = np.zeros((source.height, source.width), np.uint8)
    top, left = source.height // 2 - 12, source.width // 2 - 8
    pixels[top : top + 20, left : left + 24] = 255
    seen = resize(Image.fromarray(pixels), geometry)[..., 0] > 127
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float64)
    found = back_to_image(box, source, geometry)[0]
    step = max(source.height, source.width) / (32 / crop_pct)
    assert abs(found - [left, top, left + 24, top + 20]).max() <= step


def test_the_whole_input_of_a_squashed_image_is_the_whole_image() -> None:
    geometry = Preprocess(Size(32, 16), "squash", 1.0, "bilinear", (0.0,), (1.0,)).geometry
    found = back_to_image(np.array([[0.0, 0, 16, 32]]), Size(50, 70), geometry)
    assert found.tolist() == [[0, 0, 70, 50]]


def test_a_padded_border_lies_outside_the_image() -> None:
    geometry = Preprocess(Size(32, 32), "pad", 1.0, "bilinear", (0.0,), (1.0,)).geometry
    found = back_to_image(np.array([[0.0, 0, 32, 32]]), Size(32, 64), geometry)
    assert found.tolist() == [[0, -16, 64, 48]]
