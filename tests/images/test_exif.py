"""The orientation of a file is applied as Pillow does, ignored on request, and never a fault."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import chunk, encoded, picture
from PIL import Image, ImageOps

from ensemble.images.decode import decode
from ensemble.images.exif import BACK, TURNS, jpeg_exif, turned
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


# ---- the turns


@pytest.mark.parametrize("value", range(2, 9))
def test_each_turn_is_undone_by_another(value: int) -> None:
    image = picture(3, 5)
    there = image.transpose(TURNS[value])
    again = there.transpose(TURNS[BACK.get(value, value)])
    np.testing.assert_array_equal(again, image)


def test_no_two_orientations_turn_alike() -> None:
    shown = {np.asarray(picture(4, 4).transpose(turn)).tobytes() for turn in TURNS.values()}
    assert len(shown | {picture(4, 4).tobytes()}) == 8


# ---- the segment


def tiff(order: str, *entries: tuple[int, int, int]) -> bytes:
    """A TIFF structure whose first directory has entries of tag, kind and value."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    kinds = {3: "HHIHxx", 4: "HHII"}
    rows = [struct.pack(order + kinds[kind], tag, kind, 1, v) for tag, kind, v in entries]
    return head + struct.pack(f"{order}H", len(rows)) + b"".join(rows) + b"\0" * 4


def turned_by(exif: bytes, policy: DecodePolicy = STRICT) -> tuple[tuple[int, int], list[str]]:
    """The size of a picture of 2x3 once it is turned, and what was noted."""
    notes: list[str] = []
    return turned(picture(2, 3), exif, policy, notes).size, notes


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_a_tag_is_read_in_either_order_as_a_short_or_a_long(
    order: str, kind: int, prefix: bytes
) -> None:
    exif = prefix + tiff(order, (0x010F, 3, 0), (0x0112, kind, 6))
    assert turned_by(exif) == ((2, 3), ["exif turned"])


def test_without_the_tag_a_picture_is_upright() -> None:
    assert turned_by(tiff("<", (0x010F, 3, 8), (0x0113, 3, 8))) == ((3, 2), [])


def test_the_first_tag_counts() -> None:
    assert turned_by(tiff("<", (0x0112, 3, 1), (0x0112, 3, 6))) == ((3, 2), [])


def test_what_is_ignored_is_not_looked_at() -> None:
    assert turned_by(b"garbage", replace(STRICT, exif="ignore")) == ((3, 2), [])


@settings(deadline=None, max_examples=40)
@given(exif=st.binary(max_size=60))
def test_any_bytes_are_an_orientation_or_a_note(exif: bytes) -> None:
    for head in (b"", b"II*\0", b"MM\0*", b"Exif\0\0II*\0\x08\0\0\0"):
        size, notes = turned_by(head + exif)
        assert size in ((3, 2), (2, 3))
        assert notes in ([], ["exif"])


@pytest.mark.parametrize("order", "<>")
def test_a_directory_that_is_cut_off_within_the_tag_is_a_note(order: str) -> None:
    assert turned_by(tiff(order, (0x0112, 3, 6))[:-8]) == ((3, 2), ["exif"])


def test_the_segment_is_found_behind_others_as_pillow_finds_it() -> None:
    data = oriented(6)
    plain = data[:2] + b"\xff\xfe\0\x04hi" + b"\xff\xe1\0\x0chttp://x/\0" + data[2:]
    found = Image.open(io.BytesIO(plain)).info["exif"]
    assert jpeg_exif(plain) == found.removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("cut", [0, 1, 2, 4, 10, 20])
def test_a_file_that_ends_before_its_segment_has_none_or_a_part(cut: int) -> None:
    data = oriented(6)
    whole = jpeg_exif(data)
    assert whole.startswith(jpeg_exif(data[:cut]))


def test_what_stands_behind_the_scan_is_no_segment() -> None:
    plain = encoded(picture(), "JPEG")
    assert jpeg_exif(plain) == jpeg_exif(plain + segment(b"Exif\0\0II*\0")) == b""


@settings(deadline=None, max_examples=40)
@given(data=st.binary(max_size=80))
def test_a_segment_is_a_part_of_the_file_whatever_stands_there(data: bytes) -> None:
    data += b"\xff\xda"
    assert jpeg_exif(b"\xff\xd8" + data) in data


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe1"])
def test_a_file_that_ends_in_a_marker_has_no_exif(data: bytes) -> None:
    assert jpeg_exif(data) == b""
