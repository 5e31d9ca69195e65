"""The inputs of a packed file: pixels, one input for each way in which members want them made."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from ensemble.records import Geometry

ALONE: Final = "images"
"""What the pixels are called where all members take the same."""

_FITS: Final = {
    "crop": "resized so that the shorter side is {scaled}, {how}, and {size} cut out of the middle",
    "squash": "resized to {scaled}, {how}, and {size} cut out of the middle",
    "pad": "resized so that it fits into {scaled}, {how}, and put in the middle of {size} of the "
    "colour {fill}",
}


def input_names(geometries: Sequence[Geometry]) -> dict[Geometry, str]:
    """Return a name for each geometry, in an order of its own; the same for any order given.

    The first rule counts that tells all of them apart: one name, size and channels, all that timm
    names, or a number.
    """
    every = sorted(set(geometries), key=repr)
    if len(every) == 1:
        return {every[0]: ALONE}
    rules: tuple[Callable[[Geometry], str], ...] = (_by_size, _by_transform)
    for rule in rules:
        if max(Counter(map(rule, every)).values()) == 1:
            return {each: f"{ALONE}_{rule(each)}" for each in every}
    return {each: f"{ALONE}_{_by_transform(each)}_{place}" for place, each in enumerate(every)}


def shape_of(geometry: Geometry) -> list[int]:
    """Return height, width and channels of an image as it goes in."""
    return [geometry.height, geometry.size.width, geometry.channels]


def input_record(name: str, geometry: Geometry, members: Sequence[str]) -> Mapping[str, object]:
    """Return what a caller must know of an input, as JSON-ready values."""
    rule = asdict(geometry)
    return {
        "name": name,
        "type": "uint8",
        "shape": ["N", *shape_of(geometry)],
        "pixels": said(geometry),
        "geometry": rule,
        "members": sorted(members),
    }


def said(geometry: Geometry) -> str:
    """Say what is to be done to an image before it goes in, in words."""
    side = geometry.size
    scaled = f"{int(side.height / geometry.crop_pct)}x{int(side.width / geometry.crop_pct)}"
    if geometry.fit == "crop" and side.height == side.width:
        scaled = scaled.partition("x")[0]
    how = f"by Pillow's {geometry.interpolation}"
    text = _FITS[geometry.fit].format(scaled=scaled, how=how, size=side, fill=geometry.fill)
    colours = {1: "grey (as Pillow's L)", 3: "RGB"}
    text = f"{colours.get(geometry.channels, f'{geometry.channels} bands')}, 0 to 255; {text}"
    if geometry.crop:
        text = f"{_cut_out(geometry)}; {text}"
    return text


def _cut_out(geometry: Geometry) -> str:
    """Say how the box of an image is cut out first."""
    crop = geometry.crop
    if crop is None:
        return ""
    square = ", made square by its longer side" if crop.square else ""
    text = f"its box, each side moved out by {crop.margin:g} of the box's own{square}, is cut out"
    if len(geometry.jitters) > 1:
        text += (
            f", once for each of {len(geometry.jitters)} jitters (across, down, wider), the parts "
            f"one below the other"
        )
    return text


def _by_size(geometry: Geometry) -> str:
    return "x".join(map(str, shape_of(geometry)))


def _by_transform(geometry: Geometry) -> str:
    share = f"{geometry.crop_pct:g}"
    return "_".join((_by_size(geometry), geometry.fit, share, geometry.interpolation))
