"""Little pictures, and the files that hold them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(height: int = 24, width: int = 32, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Blocks of random colour: something for every coefficient, little for the disk."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height)).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, payload: bytes) -> bytes:
    crc = zlib.crc32(name + payload)
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", crc)
