"""Images of other bands than colours reach a member as they are stored."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import encoded, picture
from PIL import Image
from toys import save_member, toy_card, toy_model

from ensemble.api import predict
from ensemble.errors import ImageError
from ensemble.images.bands import decode_bands
from ensemble.images.resize import resize, resize_bands
from ensemble.records import DecodePolicy, Geometry, Size

STRICT = DecodePolicy()


def npy(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def noise(bands: int, height: int = 9, width: int = 7) -> NDArray[np.uint8]:
    return np.random.default_rng(bands).integers(0, 256, (height, width, bands), np.uint8)


@pytest.mark.parametrize("count", [2, 4, 16])
def test_an_array_gives_its_bands(count: int) -> None:
    found = decode_bands(npy(noise(count)), STRICT, count)
    np.testing.assert_array_equal(np.stack([np.asarray(b) for b in found.bands], 2), noise(count))
    assert found.warnings == ()


def test_16_bits_are_scaled_and_rounded() -> None:
    values = np.array([[[0, 128], [129, 65535]]], np.uint16)
    found = decode_bands(npy(values), STRICT, 2)
    assert [np.asarray(band).tolist() for band in found.bands] == [[[0, 1]], [[0, 255]]]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (npy(noise(3)), "bands", "has 3 bands, the member takes 4: .*H, W, 4"),
        (encoded(picture()), "bands", "has 3 bands, the member takes 4"),
        (npy(noise(4).astype(np.float32)), "unsupported", "float32 .*expected uint8 or uint16"),
        (npy(noise(4)[0]), "unsupported", "shape .7, 4.: expected"),
        (npy(noise(4))[:90], "corrupt", "corrupt NPY"),
        (b"", "empty", "empty"),
    ],
)
def test_what_has_no_such_bands_is_refused(data: bytes, kind: str, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        decode_bands(data, STRICT, 4)
    assert caught.value.kind == kind


def test_an_array_with_objects_runs_no_code() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ImageError, match="corrupt NPY"):
        decode_bands(stream.getvalue(), STRICT, 4)


def header(text: str) -> bytes:
    """A .npy with this header and hardly a byte behind it."""
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode() + b"abc"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (header("{'descr': ("), "corrupt"),
        (header("{'descr': '|u1', 'fortran_order': False, b'shape': (1, 1, 4)}"), "corrupt"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (10**14, 1, 4)}"), "corrupt"),
        (
            header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({10**14}, 1, 4)}}"),
            "too large",
        ),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "corrupt"),
    ],
)
def test_a_damaged_file_of_bands_is_quarantined_whatever_reading_it_raises(
    data: bytes, kind: str
) -> None:
    with pytest.raises(ImageError) as caught:
        decode_bands(data, STRICT, 4)
    assert caught.value.kind == kind


def test_the_first_frame_is_taken_and_the_others_are_told_of() -> None:
    first, second = (Image.fromarray(noise(4), "RGBA"), Image.fromarray(noise(4)[::-1], "RGBA"))
    stream = io.BytesIO()
    first.save(stream, "TIFF", save_all=True, append_images=[second])
    found = decode_bands(stream.getvalue(), STRICT, 4)
    np.testing.assert_array_equal(np.stack([np.asarray(b) for b in found.bands], 2), noise(4))
    assert found.warnings == ("frames",)


def test_the_limit_holds_for_arrays() -> None:
    with pytest.raises(ImageError, match="--max-pixels"):
        decode_bands(npy(noise(4)), DecodePolicy(max_pixels=10), 4)


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_bands_are_resized_as_the_channels_of_a_picture_are(fit: str) -> None:
    image = Image.fromarray(noise(3, 20, 30))
    fill = (10, 20, 30) if fit == "pad" else ()
    geometry = Geometry(Size(12, 12), fit, 0.9, "bicubic", 3, fill)  # type: ignore[arg-type]
    np.testing.assert_array_equal(resize_bands(image.split(), geometry), resize(image, geometry))


@pytest.mark.parametrize("tta", ["none", "hflip"])
def test_a_member_of_four_bands_is_run_on_arrays(tmp_path: Path, tta: str) -> None:
    """Its logits are the map of the pixels as they are stored, and turned as a picture's are."""
    card = toy_card(channels=4)
    model = toy_model(card)
    member = save_member(tmp_path / "folds", card, model)
    (tmp_path / "images").mkdir()
    arrays = [noise(4, 8, 8), noise(4, 8, 8)[::-1]]
    for name, array in zip("ab", arrays, strict=True):
        (tmp_path / "images" / f"{name}.npy").write_bytes(npy(array))
    result = predict.run(
        member, tmp_path / "images" / "*.npy", device="cpu", output="probs", tta=tta,
        out=tmp_path / "out", store=tmp_path / "store",
    )  # fmt: skip
    matrix = np.frombuffer(model.graph.initializer[0].raw_data, np.float32).reshape(-1, 3)
    pixels = (np.stack(arrays).transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25
    views = [pixels, pixels[..., ::-1]] if tta == "hflip" else [pixels]
    powers = [np.exp(view.reshape(2, -1) @ matrix.astype(np.float64)) for view in views]
    expected = np.mean([each / each.sum(1, keepdims=True) for each in powers], 0)
    lines = (tmp_path / "out" / "submission.csv").read_text().splitlines()[1:]
    found = np.array([[float(v) for v in line.split(",")[1:]] for line in lines])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert result.record
