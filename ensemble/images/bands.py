"""Images of 2 or 4 to 16 bands, for members that take as many: TIFF and .npy files."""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ensemble.errors import ImageError
from ensemble.images.decode import decode
from ensemble.images.exif import ON_ITS_SIDE, TURNS
from ensemble.images.limits import check_size
from ensemble.images.tiff import tiff_bands
from ensemble.records import DecodePolicy, Size

_NPY: Final = b"\x93NUMPY"
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of an image, of one size, mode L each; `warnings` is as in `Decoded`."""

    bands: tuple[Image.Image, ...]
    warnings: tuple[str, ...] = ()


def decode_bands(data: bytes, policy: DecodePolicy, count: int) -> Bands:
    """Decode an image file to so many bands; 16-bit values are scaled from 65535 to 255.

    The bands are as they are stored, in an array uint8 or uint16 (H, W, C). A TIFF file's
    orientation is treated as the policy says.

    Raises:
        ImageError: the file has another number of bands, or cannot be decoded.
    """
    pixels, orientation = _stored(data, policy)
    turn = TURNS.get(orientation)
    if pixels.shape[2] != count:
        raise ImageError(
            "decode", "bands",
            f"the image has {pixels.shape[2]} bands, the member takes {count}: write those that it "
            f"was trained on, in their order, as TIFF or .npy (H, W, {count})",
        )  # fmt: skip
    bands = tuple(Image.fromarray(_eight_bits(pixels[:, :, band])) for band in range(count))
    if turn is None or policy.exif == "ignore":
        return Bands(bands)
    return Bands(tuple(band.transpose(turn) for band in bands), ("exif turned",))


def size_of_bands(data: bytes, policy: DecodePolicy) -> Size:
    """Return the size of an image of any number of bands, as `decode_bands` gives it.

    Raises:
        ImageError: it is no such image, or cannot be decoded.
    """
    pixels, orientation = _stored(data, policy)
    height, width = pixels.shape[:2]
    on_its_side = orientation in ON_ITS_SIDE and policy.exif == "apply"
    return Size(width, height) if on_its_side else Size(height, width)


def _stored(data: bytes, policy: DecodePolicy) -> tuple[NDArray[np.generic], int]:
    """Return the bands as they are stored, (H, W, C), and the orientation that their file asks for.

    That of a picture has been treated already, and is 1.
    """
    if data.startswith(_NPY):
        return _array(data, policy), 1
    if data.startswith(_TIFF):
        return tiff_bands(data, policy)
    return np.asarray(decode(data, policy).image), 1


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
