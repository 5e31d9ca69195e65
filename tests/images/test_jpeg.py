"""Padding that libjpeg warns of loses no pixel; rare kinds of JPEG are called what they are."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import encoded, picture
from PIL import Image

from ensemble.errors import ImageError
from ensemble.images.decode import decode
from ensemble.images.jpeg import frame_of, unusual_kind, without_padding
from ensemble.records import DecodePolicy

STRICT = DecodePolicy()
WHOLE = encoded(picture(64, 80), "JPEG", quality=90)
RESTARTS = encoded(picture(64, 80), "JPEG", quality=90, restart_marker_blocks=4)
PROGRESSIVE = encoded(picture(64, 80), "JPEG", progressive=True)
EOI, DQT, SOF, SOS, DHT = b"\xff\xd9", b"\xff\xdb", b"\xff\xc0", b"\xff\xda", b"\xff\xc4"


def before(data: bytes, marker: bytes, padding: bytes) -> bytes:
    at = data.rfind(marker) if marker == EOI else data.find(marker)
    return data[:at] + padding + data[at:]


def patched(data: bytes, marker: bytes, offset: int, new: bytes) -> bytes:
    at = data.find(marker) + offset
    return data[:at] + new + data[at + len(new) :]


def pillows(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


PADDED = {
    "zeros before the end": before(WHOLE, EOI, bytes(11)),
    "one zero before the end": before(WHOLE, EOI, b"\0"),
    "a page of zeros before the end": before(WHOLE, EOI, bytes(4096)),
    "spaces before the end": before(WHOLE, EOI, b"\x20" * 30),
    "zeros before a restart": before(RESTARTS, b"\xff\xd2", bytes(40)),
    "zeros in two places": before(before(RESTARTS, b"\xff\xd2", bytes(40)), EOI, bytes(40)),
    "stuffing before a table": before(WHOLE, DQT, b"\xff\0\xff\0"),
    "text before a table": before(WHOLE, DHT, b"some text"),
    "zeros between progressive scans": before(PROGRESSIVE, EOI, bytes(20)),
    "a JFIF version to come": patched(WHOLE, b"JFIF\0", 5, b"\x05"),
    "bounds of a scan that has none": patched(WHOLE, SOS, 11, bytes(3)),
}


@pytest.mark.parametrize("how", PADDED)
def test_padding_loses_no_pixel_and_is_counted(how: str) -> None:
    data = PADDED[how]
    decoded = decode(data, STRICT)
    np.testing.assert_array_equal(np.asarray(decoded.image), pillows(data))
    assert set(decoded.warnings) <= {"padding"}


@pytest.mark.parametrize(
    "how", ["zeros before the end", "stuffing before a table", "zeros before a restart"]
)
def test_padding_that_libjpeg_warns_of_is_told(how: str) -> None:
    assert decode(PADDED[how], STRICT).warnings == ("padding",)


def test_bytes_that_a_scan_leaves_over_may_be_damage() -> None:
    at = RESTARTS.find(b"\xff\xd3")
    with pytest.raises(ImageError) as caught:
        decode(RESTARTS[:at] + RESTARTS[at + 2 :], STRICT)
    assert caught.value.kind == "corrupt"


@pytest.mark.parametrize("seed", range(30))
def test_damage_is_never_taken_for_padding(seed: int) -> None:
    """What is decoded is at least what Pillow makes of the same bytes."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(WHOLE.find(SOS) + 14, len(WHOLE) - 60))
    data = WHOLE[:at] + rng.bytes(50) + WHOLE[at + 50 :]
    try:
        decoded = decode(data, STRICT)
    except ImageError as error:
        assert error.kind in ("corrupt", "truncated")
    else:
        np.testing.assert_array_equal(np.asarray(decoded.image), pillows(data))
        assert decoded.warnings == ()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (patched(WHOLE, SOF, 4, b"\x0c"), "12-bit"),
        (patched(WHOLE, SOF, 1, b"\xc3"), "lossless"),
        (patched(WHOLE, SOF, 1, b"\xc5"), "hierarchical"),
        (patched(WHOLE, SOF, 9, b"\x02"), "2-channel"),
        (patched(patched(WHOLE, SOF, 4, b"\x10"), SOF, 1, b"\xc3"), "lossless 16-bit"),
    ],
)
def test_a_rare_kind_is_unsupported_and_not_corrupt(data: bytes, kind: str) -> None:
    assert unusual_kind(data) == kind
    with pytest.raises(ImageError, match=f"{kind} JPEG is not supported: convert") as caught:
        decode(data, STRICT)
    assert caught.value.kind == "unsupported"


def test_a_usual_kind_has_no_name() -> None:
    assert [unusual_kind(d) for d in (WHOLE, PROGRESSIVE, WHOLE[:30], b"")] == [""] * 4


def test_a_file_without_a_frame_has_none() -> None:
    assert frame_of(WHOLE[:30]) is None
    assert frame_of(WHOLE) == WHOLE.find(SOF)


def test_another_fault_is_no_padding() -> None:
    assert without_padding(WHOLE, "premature end of JPEG file") is None
    assert without_padding(WHOLE, "9 extraneous bytes before marker 0xd9") is None
