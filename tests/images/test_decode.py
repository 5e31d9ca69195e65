"""What is decoded, as Pillow does, and what is refused."""

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import chunk, encoded, picture
from PIL import Image, features

from ensemble.errors import ImageError
from ensemble.images.decode import decode
from ensemble.records import DecodePolicy

pytestmark = pytest.mark.filterwarnings("error")

STRICT = DecodePolicy()
LAX = DecodePolicy(allow_truncated=True)


def pixels(data: bytes, policy: DecodePolicy = STRICT) -> NDArray[np.uint8]:
    decoded = decode(data, policy)
    assert decoded.image.mode == "RGB"
    return np.asarray(decoded.image)


def fault(data: bytes, policy: DecodePolicy = STRICT) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, policy)
    assert caught.value.stage == "decode"
    return caught.value.kind


# ---- clean files


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}, {"quality": 20}],
    ids=lambda options: "-".join(options) or "plain",
)
def test_jpeg_pixels_equal_pillows(mode: str, options: dict[str, object]) -> None:
    data = encoded(picture(37, 51, mode), "JPEG", **options)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(pixels(data), expected)


def test_a_ycck_jpeg_is_read_as_pillow_reads_it() -> None:
    data = bytearray(encoded(picture(37, 51, "CMYK"), "JPEG"))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2  # YCCK
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(pixels(bytes(data)), expected)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
def test_avif_is_read_as_pillow_reads_it() -> None:
    data = encoded(picture(), "AVIF")
    np.testing.assert_array_equal(pixels(data), Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_lossless_files_come_back(kind: str) -> None:
    image = picture().quantize(64).convert("RGB") if kind == "GIF" else picture()
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(pixels(encoded(image, kind, **options)), image)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = picture(mode=mode)
    np.testing.assert_array_equal(pixels(encoded(image, "TIFF")), image.convert("RGB"))


def test_decoded_images_resize_turn_and_convert_as_pillows_do() -> None:
    data = encoded(picture(40, 60), "JPEG")
    ours, theirs = decode(data, STRICT).image, Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(ours.resize((9, 7)), theirs.resize((9, 7)))
    np.testing.assert_array_equal(ours.crop((-3, 2, 70, 30)), theirs.crop((-3, 2, 70, 30)))
    np.testing.assert_array_equal(ours.convert("L"), theirs.convert("L"))


def test_threads_decode_alike() -> None:
    files = [encoded(picture(seed=i), kind) for i in range(8) for kind in ("JPEG", "PNG")]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(pixels, files * 3))
    np.testing.assert_array_equal(together, [pixels(data) for data in files] * 3)


def test_content_decides_the_format_and_a_wrong_extension_is_reported() -> None:
    data = encoded(picture())
    decoded = decode(data, STRICT, ".jpg")
    assert decoded.warnings == ("extension",)
    np.testing.assert_array_equal(decoded.image, picture())


@pytest.mark.parametrize("suffix", ["", ".jpg", ".JPEG", ".jpe"])
def test_a_right_extension_is_not(suffix: str) -> None:
    assert decode(encoded(picture(), "JPEG"), STRICT, suffix).warnings == ()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_counts(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    decoded = decode(data, STRICT)
    assert decoded.warnings == ("frames",)
    assert decoded.image.getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_tiny_images_decode(size: tuple[int, int], kind: str) -> None:
    assert pixels(encoded(picture(*size), kind)).shape == (*size, 3)


# ---- depth, alpha, orientation


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_rounded(kind: str) -> None:
    values = np.array([[0, 128, 129, 257, 32767, 32768, 65407, 65535]], np.uint16)
    found = pixels(encoded(Image.fromarray(values), kind))
    expected = np.round(values * (255 / 65535))
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, axis=2))


def test_big_endian_16_bit_grey_is_scaled() -> None:
    values = np.array([[0, 256, 65535]], ">u2")
    data = encoded(Image.frombytes("I;16B", (3, 1), values.tobytes()), "TIFF")
    assert data[:2] == b"MM"
    assert pixels(data)[0, :, 0].tolist() == [0, 1, 255]


def test_16_bit_colour_keeps_its_high_byte() -> None:
    values = np.array([[[0, 255, 256], [32767, 65280, 65535]]], ">u2")

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(b"\0" + values.tobytes()))
    data = b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")
    np.testing.assert_array_equal(pixels(data), values >> 8)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_a_fixed_range_are_refused(dtype: type[np.generic]) -> None:
    data = encoded(Image.fromarray(np.ones((4, 4), dtype)), "TIFF")
    assert fault(data) == "unsupported"


def test_12_bit_grey_is_refused() -> None:
    data = encoded(Image.fromarray(np.full((4, 4), 4095, np.uint16)), "TIFF")
    bits = struct.pack("<HHI", 258, 3, 1)
    at = data.index(bits) + len(bits)
    assert data[at] == 16
    assert fault(data[:at] + b"\x0c" + data[at + 1 :]) == "unsupported"


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [("drop", (200, 100, 50)), ("white", (255, 255, 255)), ("black", (0, 0, 0))],
)
def test_transparent_pixels_follow_the_policy(alpha: str, expected: tuple[int, ...]) -> None:
    data = encoded(Image.new("RGBA", (2, 2), (200, 100, 50, 0)))
    policy = replace(STRICT, alpha=alpha)
    assert tuple(pixels(data, policy)[0, 0]) == expected


def test_half_transparent_pixels_are_blended() -> None:
    data = encoded(Image.new("LA", (2, 2), (100, 128)))
    assert pixels(data, replace(STRICT, alpha="white"))[0, 0].tolist() == [177] * 3


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
@pytest.mark.parametrize(("alpha", "second"), [("drop", [0, 255, 0]), ("white", [255] * 3)])
def test_palettes_with_transparency_follow_the_policy(
    transparency: int | bytes, alpha: str, second: list[int]
) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    data = encoded(image, transparency=transparency)
    found = pixels(data, replace(STRICT, alpha=alpha))
    assert found[0].tolist() == [[255, 0, 0], second]


# ---- faults


def test_an_empty_file_is_refused() -> None:
    assert fault(b"") == "empty"


@pytest.mark.parametrize(
    "data",
    [b"<html>", b"hello", b"version https://git-lfs", b"%!PS-Adobe-3.0 EPSF-3.0", b"8BPS\0\1",
     b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?><svg/>",
     b"\xc5\xd0\xd3\xc6", b"P6 8 8 255 ", b"SIMPLE  ="],
)  # fmt: skip
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert fault(data) == "not an image"


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", b"\xff\x0a..",
     b"\0\0\0\x0cJXL \r\n\x87\n"],
)  # fmt: skip
def test_heic_and_jpeg_xl_are_refused_with_a_hint(data: bytes) -> None:
    with pytest.raises(ImageError, match="convert") as caught:
        decode(data, STRICT)
    assert caught.value.kind == "unsupported"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("cut", [1, 2, 0.25, 0.5, 0.99])
def test_a_truncated_jpeg_is_refused(mode: str, progressive: bool, cut: float) -> None:
    data = encoded(picture(64, 80, mode), "JPEG", progressive=progressive)
    kept = data[: -int(cut if cut >= 1 else cut * len(data))]
    assert fault(kept) in ("truncated", "corrupt")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_accepted_on_request(progressive: bool) -> None:
    data = encoded(picture(64, 80), "JPEG", progressive=progressive)
    decoded = decode(data[: -len(data) // 4], LAX)
    assert (decoded.warnings, decoded.image.size) == (("truncated",), (80, 64))


def test_bytes_after_the_end_of_a_jpeg_are_no_fault() -> None:
    data = encoded(picture(), "JPEG")
    np.testing.assert_array_equal(pixels(data + b"\xff\xda trailer"), pixels(data))


def overwritten(data: bytes, seed: int) -> bytes:
    """Overwrite 200 bytes of the scan."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(data.rfind(b"\xff\xda") + 20, len(data) - 202))
    return data[:at] + rng.bytes(200) + data[at + 200 :]


@pytest.mark.parametrize("policy", [STRICT, LAX])
def test_a_corrupt_jpeg_is_refused(policy: DecodePolicy) -> None:
    # JPEG has no checksum, so a few files damaged like this still decode, to wrong pixels. With
    # seed 0 the strict decoder finds the damage.
    data = overwritten(encoded(picture(256, 256), "JPEG", quality=95), seed=0)
    assert fault(data, policy) in ("corrupt", "truncated")


@pytest.mark.parametrize("place", [30, -60, -20, -6])
@pytest.mark.parametrize("policy", [STRICT, LAX])
def test_a_png_with_a_wrong_crc_is_refused(place: int, policy: DecodePolicy) -> None:
    data = bytearray(encoded(picture()))
    data[place : place + 4] = bytes(255 - b for b in data[place : place + 4])
    assert fault(bytes(data), policy) in ("corrupt", "truncated")


@pytest.mark.parametrize("cut", [1, 2, 12, 13, 0.5, 0.9])
def test_a_truncated_png_is_refused(cut: float) -> None:
    data = encoded(picture())
    kept = data[: -int(cut if cut >= 1 else cut * len(data))]
    assert fault(kept) == "truncated"


def test_a_truncated_png_is_accepted_on_request() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise))
    decoded = decode(data[: len(data) // 2], LAX)
    assert decoded.warnings == ("truncated",)
    found = np.asarray(decoded.image)
    np.testing.assert_array_equal(found[:25], noise[:25])
    assert not found[-1].any()


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF", "WEBP"])
@pytest.mark.parametrize("policy", [STRICT, LAX])
def test_half_of_any_other_file_is_refused(kind: str, policy: DecodePolicy) -> None:
    data = encoded(picture(), kind)
    assert fault(data[: len(data) // 2], policy) in ("truncated", "corrupt")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_damage_of_any_kind_is_an_image_error_or_an_image(kind: str) -> None:
    data = bytearray(encoded(picture(), kind))
    rng = np.random.default_rng(0)
    for _ in range(60):
        bad = bytearray(data)
        at = int(rng.integers(0, min(len(bad) - 4, 200)))
        bad[at : at + 4] = rng.bytes(4)
        with contextlib.suppress(ImageError):
            assert decode(bytes(bad), STRICT).image.mode == "RGB"


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    side = 18_000
    rows = zlib.compress(bytes(side * (1 + side // 8)))
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    data += chunk(b"IEND", b"")
    assert len(data) < 60_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("was decoded"))
    assert fault(data) == "too large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_the_pixel_limit_holds_for_every_format(kind: str) -> None:
    data = encoded(picture(10, 10), kind)
    assert fault(data, replace(STRICT, max_pixels=99)) == "too large"
    assert pixels(data, replace(STRICT, max_pixels=100)).shape == (10, 10, 3)


FOREIGN = [
    OSError("a"), SyntaxError("a"), ValueError("a"), struct.error("a"), zlib.error("a"),
    EOFError(), IndexError("a"), KeyError("a"), TypeError("a"), OverflowError("a"), MemoryError(),
    AssertionError(),
]  # fmt: skip


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_whatever_pillow_raises_is_translated(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def explode(*args: object, **kwargs: object) -> Image.Image:
        raise error

    monkeypatch.setattr(Image, "open", explode)
    assert fault(encoded(picture())) in ("corrupt", "too large")


def test_a_jpeg_too_short_for_its_size_is_refused_before_memory_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = bytearray(encoded(picture(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 9000, 9000)
    monkeypatch.setattr("simplejpeg.decode_jpeg", lambda *_, **__: pytest.fail("decoded"))
    assert fault(bytes(data)) == "truncated"


def test_a_jpeg_of_one_colour_is_long_enough() -> None:
    flat = Image.new("RGB", (4000, 3000))
    for options in ({"quality": 1, "optimize": True}, {"quality": 1, "progressive": True}):
        assert decode(encoded(flat, "JPEG", **options), STRICT).image.size == (4000, 3000)


@pytest.mark.filterwarnings("default")
def test_warnings_of_pillow_reach_nobody() -> None:
    code = (
        "import io, sys, warnings\n"
        "from ensemble.images.decode import decode\n"
        "from ensemble.records import DecodePolicy\n"
        "from PIL import Image\n"
        "stream = io.BytesIO()\n"
        "Image.new('RGB', (8, 8)).save(stream, 'TIFF')\n"
        "data = bytearray(stream.getvalue())\n"
        "at = int.from_bytes(data[4:8], 'little')\n"
        "data[at : at + 2] = (99).to_bytes(2, 'little')\n"
        "decode(bytes(data), DecodePolicy())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Warning" not in done.stderr
