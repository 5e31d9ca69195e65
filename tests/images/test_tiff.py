"""TIFF files of any number of bands come back as they were written, or are called what they are."""

import struct
import tracemalloc
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.errors import ImageError
from ensemble.images.decode import decode
from ensemble.images.tiff import check_tiff, read_tiff, tiff_bands
from ensemble.records import DecodePolicy

STRICT = DecodePolicy()


def written(
    pixels: NDArray[np.generic],
    *,
    order: str = "<",
    big: bool = False,
    planar: bool = False,
    deflated: bool = False,
    predictor: int = 1,
    rows: int = 3,
    following: int = 0,
    **other: int,
) -> bytes:
    """A TIFF file by the letter of the specification, in strips of some rows."""
    height, width, bands = pixels.shape
    planes = [pixels[:, :, [b]] for b in range(bands)] if planar else [pixels]
    if predictor == 2 and deflated:  # it is of compressed samples only
        planes = [np.concatenate([p[:, :1], np.diff(p, axis=1)], axis=1) for p in planes]
    kind = pixels.dtype.newbyteorder(order)
    strips = [p[at : at + rows].astype(kind).tobytes() for p in planes
              for at in range(0, height, rows)]  # fmt: skip
    strips = [zlib.compress(s) for s in strips] if deflated else strips
    head = 16 if big else 8
    offsets = np.cumsum([head, *map(len, strips)])[:-1].tolist()
    word = "Q" if big else "I"
    tags: dict[int, tuple[str, Sequence[int]]] = {
        256: ("H", [width]), 257: ("I", [height]),
        258: ("H", [8 * pixels.dtype.itemsize] * bands), 259: ("H", [8 if deflated else 1]),
        262: ("H", [1]), 273: (word, offsets), 277: ("H", [bands]), 278: ("H", [rows]),
        279: (word, [len(s) for s in strips]), 284: ("H", [2 if planar else 1]),
        317: ("H", [predictor]),
    }  # fmt: skip
    names = {"compression": 259, "format": 339, "tiles": 322, "orientation": 274, "fill": 266}
    tags |= {names[name]: ("H", [value]) for name, value in other.items()}
    body = b"".join(strips)
    entries, extra = b"", b""
    room = 8 if big else 4
    after = head + len(body) + (8 if big else 2) + (20 if big else 12) * len(tags) + room
    for tag, (code, values) in sorted(tags.items()):
        raw = struct.pack(f"{order}{len(values)}{code}", *values)
        place = raw.ljust(room, b"\0")
        if len(raw) > room:
            place = struct.pack(order + word, after + len(extra))
            extra += raw
        code_number = {"H": 3, "I": 4, "Q": 16}[code]
        entries += struct.pack(f"{order}HH{word}", tag, code_number, len(values)) + place
    mark = b"II" if order == "<" else b"MM"
    start = head + len(body)
    if big:
        header = mark + struct.pack(order + "HHHQ", 43, 8, 0, start)
        count = struct.pack(order + "Q", len(tags))
    else:
        header, count = (
            mark + struct.pack(order + "HI", 42, start),
            struct.pack(order + "H", len(tags)),
        )
    return header + body + count + entries + struct.pack(order + word, following) + extra


def noise(bands: int, kind: str = "u1", height: int = 7, width: int = 5) -> NDArray[np.generic]:
    top = np.iinfo(kind).max
    return np.random.default_rng(bands).integers(
        0, top, (height, width, bands), kind, endpoint=True
    )


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_bands_come_back_as_they_were_written(
    order: str, big: bool, planar: bool, deflated: bool, kind: str, predictor: int
) -> None:
    pixels = noise(5, kind)
    data = written(
        pixels, order=order, big=big, planar=planar, deflated=deflated, predictor=predictor
    )
    found, orientation = tiff_bands(data, STRICT)
    np.testing.assert_array_equal(found, pixels)
    assert (found.dtype, orientation) == (pixels.dtype, 1)


@pytest.mark.parametrize("bands", [2, 4, 16])
def test_any_number_of_bands_is_read(bands: int) -> None:
    data = written(noise(bands), orientation=6)
    assert tiff_bands(data, STRICT)[0].shape == (7, 5, bands)
    assert tiff_bands(data, STRICT)[1] == 6
    assert read_tiff(data).bands == bands


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({"compression": 5}, "LZW compression"),
        ({"compression": 50000}, "Zstandard compression"),
        ({"compression": 12345}, "12345 compression"),
        ({"format": 3}, "samples of .8. bits"),
        ({"tiles": 16}, "tiles"),
        ({"predictor": 3}, "a predictor of floats"),
        ({"fill": 2}, "bits in reversed order"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(tags: dict[str, int], what: str) -> None:
    with pytest.raises(ImageError, match=f"5 bands with {what} is not supported: write") as caught:
        tiff_bands(written(noise(5), **tags), STRICT)
    assert caught.value.kind == "unsupported"


def test_five_bands_are_no_picture_and_not_corrupt() -> None:
    with pytest.raises(ImageError, match="a TIFF of 5 bands of 8 bits .*5 channels") as caught:
        decode(written(noise(5)), STRICT)
    assert caught.value.kind == "unsupported"


def test_a_cut_file_is_truncated() -> None:
    data = written(noise(5), deflated=False)
    cut = data[:8] + data[40:]  # the directory is found no more
    with pytest.raises(ImageError):
        tiff_bands(cut, STRICT)
    with pytest.raises(ImageError, match="corrupt TIFF"):
        read_tiff(data[:6])


def test_strips_that_are_too_short_are_truncated() -> None:
    data = written(noise(5), rows=8)
    seven, eight = (struct.pack("<HHII", 257, 4, 1, height) for height in (7, 8))
    with pytest.raises(ImageError, match="strips are too short") as caught:
        tiff_bands(data.replace(seven, eight), STRICT)
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize(("rows", "fault"), [(1, "truncated"), (6, "corrupt")])
def test_other_strips_than_the_rows_need_are_no_file(rows: int, fault: str) -> None:
    data = written(noise(5))
    three, other = (struct.pack("<HHIH", 278, 3, 1, count) for count in (3, rows))
    with pytest.raises(ImageError, match=f"{fault} TIFF file: 3 strips, where 7 rows") as caught:
        tiff_bands(data.replace(three, other), STRICT)
    assert caught.value.kind == fault


@pytest.mark.parametrize("deflated", [False, True])
def test_a_strip_that_is_short_is_not_filled_up_from_the_next(deflated: bool) -> None:
    """The last strip is padded to full rows, so that all of them together are long enough."""
    data = written(noise(5, height=9), deflated=deflated)
    sizes = read_tiff(data).tags[279]
    seven, nine = (struct.pack("<HHII", 257, 4, 1, height) for height in (9, 7))
    cut = struct.pack("<3I", sizes[0] - 12, *sizes[1:])
    short = data.replace(seven, nine).replace(struct.pack("<3I", *sizes), cut)
    with pytest.raises(ImageError, match="strips are too short"):
        tiff_bands(short, STRICT)


def test_a_last_strip_of_full_rows_is_cut() -> None:
    data = written(noise(5, height=9), deflated=True)
    nine, seven = (struct.pack("<HHII", 257, 4, 1, height) for height in (9, 7))
    found, _ = tiff_bands(data.replace(nine, seven), STRICT)
    np.testing.assert_array_equal(found, noise(5, height=9)[:7])


def test_no_strip_takes_more_memory_than_its_rows() -> None:
    data = written(np.zeros((40_000, 5, 5), np.uint8), deflated=True, rows=40_000)
    heights = (struct.pack("<HHII", 257, 4, 1, height) for height in (40_000, 7))
    rows = (struct.pack("<HHIH", 278, 3, 1, count) for count in (40_000, 7))
    small = data.replace(*heights).replace(*rows)
    tracemalloc.start()
    found, _ = tiff_bands(small, STRICT)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    assert found.shape == (7, 5, 5)


def test_damaged_deflation_is_corrupt() -> None:
    data = written(noise(5), deflated=True)
    with pytest.raises(ImageError) as caught:
        tiff_bands(data[:8] + b"\0\0\0\0" + data[12:], STRICT)
    assert caught.value.kind == "corrupt"


def test_the_limit_holds_for_bands() -> None:
    with pytest.raises(ImageError, match="--max-pixels"):
        tiff_bands(written(noise(5)), DecodePolicy(max_pixels=10))


def test_a_directory_that_follows_is_told_of() -> None:
    assert not read_tiff(written(noise(5))).more
    assert read_tiff(written(noise(5), following=8)).more


def test_a_directory_beyond_any_file_is_corrupt() -> None:
    with pytest.raises(ImageError, match="corrupt TIFF"):
        read_tiff(b"II+\0\x08\0\0\0" + b"\xff" * 8)


@pytest.mark.parametrize("planar", [False, True])
def test_no_bands_are_corrupt(planar: bool) -> None:
    data = written(noise(5), planar=planar)
    five, none = (struct.pack("<HHIH", 277, 3, 1, bands) for bands in (5, 0))
    with pytest.raises(ImageError, match="tells of no pixels"):
        tiff_bands(data.replace(five, none), STRICT)


def test_a_damaged_header_is_left_to_its_decoder() -> None:
    check_tiff(b"II*\0\x08\0\0\0\0\0" + bytes(8))
