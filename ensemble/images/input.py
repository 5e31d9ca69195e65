"""From the bytes of a file to what members take of it: decoded once, cut out, resized."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Final, TypeAlias

import numpy as np

from ensemble.arrays import Pixels
from ensemble.images.bands import decode_bands
from ensemble.images.crops import cut_out
from ensemble.images.decode import decode
from ensemble.images.reading import Hashed
from ensemble.images.resize import in_channels, resize, resize_bands
from ensemble.records import DecodePolicy, Geometry

Make: TypeAlias = Callable[[Geometry], tuple[Pixels, tuple[str, ...]]]
"""Makes the pixels of a geometry, uint8 (H, W, C), and tells what was odd about the file."""

_STILL: Final = (0.0, 0.0, 0.0)


def input_of(data: bytes, image: Hashed, policy: DecodePolicy) -> Make:
    """Return what makes the pixels of a file for a geometry, and tells what was odd about it.

    The picture is decoded once; bands are, for each geometry that takes some.
    """
    picture = cache(partial(decode, data, policy, image.source.path.suffix))

    def make(geometry: Geometry) -> tuple[Pixels, tuple[str, ...]]:
        jitters = geometry.jitters or (_STILL,)
        if geometry.channels in (1, 3):
            whole = in_channels(picture().image, geometry)
            cut = partial(cut_out, whole, image.box, geometry)
            parts = [resize(cut(jitter), geometry) for jitter in jitters]
            return _stacked(parts), picture().warnings
        found = decode_bands(data, policy, geometry.channels)
        cuts = [
            partial(cut_out, band, image.box, replace(geometry, border=geometry.border[n : n + 1]))
            for n, band in enumerate(found.bands)
        ]
        parts = [resize_bands([cut(jitter) for cut in cuts], geometry) for jitter in jitters]
        return _stacked(parts), found.warnings

    return make


def _stacked(parts: Sequence[Pixels]) -> Pixels:
    """Put the parts of an image one below the other."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
