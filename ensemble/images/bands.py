"""Images of 2 or 4 to 16 bands, for members that take as many: TIFF and .npy files."""

import io
from dataclasses import dataclass
from tokenize import TokenError
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ensemble.errors import ImageError
from ensemble.images.decode import FOREIGN, decode
from ensemble.images.exif import TURNS
from ensemble.images.limits import check_size
from ensemble.images.tiff import read_tiff, tiff_bands
from ensemble.records import DecodePolicy

_NPY: Final = b"\x93NUMPY"
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of an image, of one size, mode L each; `warnings` is as in `Decoded`."""

    bands: tuple[Image.Image, ...]
    warnings: tuple[str, ...] = ()


def decode_bands(data: bytes, policy: DecodePolicy, count: int | None) -> Bands:
    """Decode an image file to so many bands; 16-bit values are scaled from 65535 to 255.

    A `count` of None is as many as there are. The bands are as they are stored, in an array uint8
    or uint16 (H, W, C). A TIFF file's orientation is treated as the policy says.

    Raises:
        ImageError: the file has another number of bands, or cannot be decoded.
    """
    try:
        return _decoded(data, policy, count)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("decode", "too large", "not enough memory for its bands") from error
    except (*FOREIGN, TokenError) as error:
        raise ImageError("decode", "corrupt", f"corrupt file of bands: {error}") from error


def _decoded(data: bytes, policy: DecodePolicy, count: int | None) -> Bands:
    turn, notes = None, list[str]()
    if data.startswith(_NPY):
        pixels = _array(data, policy)
    elif data.startswith(_TIFF):
        tiff = read_tiff(data)
        _check_count(tiff.bands, count)  # before memory is taken for them
        pixels, orientation = tiff_bands(data, policy)
        turn, notes = TURNS.get(orientation), ["frames"] * tiff.more
    else:
        pixels = np.asarray(decode(data, policy).image)
    _check_count(pixels.shape[2], count)
    bands = tuple(
        Image.fromarray(_eight_bits(pixels[:, :, band])) for band in range(pixels.shape[2])
    )
    if turn is None or policy.exif == "ignore":
        return Bands(bands, tuple(notes))
    return Bands(tuple(band.transpose(turn) for band in bands), (*notes, "exif turned"))


def _check_count(found: int, count: int | None) -> None:
    if count not in (None, found):
        raise ImageError(
            "decode", "bands",
            f"the image has {found} bands, the member takes {count}: write those that it "
            f"was trained on, in their order, as TIFF or .npy (H, W, {count})",
        )  # fmt: skip


def _array(data: bytes, policy: DecodePolicy) -> NDArray[np.generic]:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ImageError("decode", "corrupt", f"corrupt NPY file: {error}") from error
    if array.dtype not in (np.uint8, np.uint16) or array.ndim != 3 or not array.size:
        raise ImageError(
            "decode", "unsupported",
            f"an array {array.dtype} of shape {array.shape}: expected uint8 or uint16 (H, W, C)",
        )  # fmt: skip
    check_size(array.shape[0], array.shape[1], policy)
    return np.asarray(array)


def _eight_bits(band: NDArray[np.generic]) -> NDArray[np.uint8]:
    if band.dtype == np.uint8:
        return np.ascontiguousarray(band, np.uint8)
    return ((band.astype(np.uint32) + 128) // 257).astype(np.uint8)
