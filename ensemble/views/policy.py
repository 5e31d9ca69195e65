"""Views, and the policies made of them.

A view is a value; a policy is an ordered list of views. The presets carry ttach's names,
parameters and order (in a product, the last transform varies fastest).
"""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import numpy as np

from ensemble.errors import UsageError
from ensemble.records import Op, Size, View
from ensemble.views.pixels import jitter_of, pixel_map

Views: TypeAlias = tuple[View, ...]
Parameters: TypeAlias = tuple[float, ...]

IDENTITY: Final = View("identity")

_HFLIP: Final = (IDENTITY, View("hflip", (Op("hflip"),)))
_VFLIP: Final = (IDENTITY, View("vflip", (Op("vflip"),)))
_TURNS: Final = (IDENTITY, *(View(f"rot{90 * k}", (Op("rot90", (k,)),)) for k in (1, 2, 3)))
MOST_JITTER: Final = 0.4
"""The largest share of its sides by which a view moves a box."""

_CORNERS: Final = ("lt", "lb", "rb", "rt", "center")
_PRESET: Final = re.compile(r"(\w+)(?:\(([^()]*)\))?")


def product(*axes: Views) -> Views:
    """Combine lists of views: every choice of one from each, the last list varying fastest."""
    return tuple(_join(choice) for choice in itertools.product(*axes))


def presets() -> tuple[str, ...]:
    """Name the presets, in the order of the documentation."""
    return tuple(_PRESETS)


def preset(text: str) -> Views:
    """Return the views of a preset such as "flip", "multiscale(0.8,1,1.2)" or "five_crop(28,28)".

    Raises:
        UsageError: no such preset, or parameters that it does not take.
    """
    match = _PRESET.fullmatch(text.strip())
    if match is None or match[1] not in _PRESETS:
        known = ", ".join(_PRESETS)
        raise UsageError(f"no view preset {text!r}; the presets: {known}; or pkg.mod:name")
    try:
        parameters = tuple(float(p) for p in match[2].split(",")) if match[2] else ()
    except ValueError as error:
        raise UsageError(f"preset {text!r}: its parameters are numbers") from error
    return _PRESETS[match[1]](parameters)


def check_distinct(views: Sequence[View], size: Size) -> None:
    """Refuse views that show the same pixels of an image of that size.

    Raises:
        UsageError: two views are equal; names both.
    """
    seen: dict[tuple[object, ...], View] = {}
    for view in views:
        key = _fingerprint(view, size)
        if key in seen:
            raise UsageError(
                f"views {seen[key].name} and {view.name} are the same at {size} pixels: one of "
                f"them would count twice. Remove it from the policy"
            )
        seen[key] = view


def _join(views: Iterable[View]) -> View:
    parts = [v for v in views if v.ops]
    if not parts:
        return IDENTITY
    return View("+".join(v.name for v in parts), tuple(op for v in parts for op in v.ops))


def _fingerprint(view: View, size: Size) -> tuple[object, ...]:
    factor, offset = 1.0, 0.0
    for op in view.ops:
        if op.name == "multiply":
            factor, offset = factor * cast(float, op.args[0]), offset * cast(float, op.args[0])
        elif op.name == "add":
            offset += cast(float, op.args[0])
    grid = pixel_map(view, size)
    return grid.shape, grid.tobytes(), factor, offset, jitter_of(view)


def _parameterless(views: Views) -> Callable[[Parameters], Views]:
    def build(parameters: Parameters) -> Views:
        if parameters:
            raise UsageError(f"this preset takes no parameters, found {parameters}")
        return views

    return build


def _multiscale(parameters: Parameters) -> Views:
    factors = parameters or (1.0, 0.8, 1.2)
    return scales(factors)


def scales(factors: Sequence[float]) -> Views:
    if not all(np.isfinite(f) and f > 0 for f in factors):
        raise UsageError(f"multiscale: factors must be above 0, found {tuple(factors)}")
    factors = factors if 1 in factors else (1, *factors)
    return tuple(
        IDENTITY if f == 1 else View(f"scale{f:g}", (Op("scale", (float(f),)),)) for f in factors
    )


def _five_crop(parameters: Parameters) -> Views:
    if len(parameters) != 2 or not all(p >= 1 and float(p).is_integer() for p in parameters):
        raise UsageError("a crop preset needs its size in whole pixels, as in five_crop(28,28)")
    height, width = (int(p) for p in parameters)
    return tuple(crop(place, height, width) for place in _CORNERS)


def _ten_crop(parameters: Parameters) -> Views:
    return product(_HFLIP, _five_crop(parameters))


def _jitter(parameters: Parameters) -> Views:
    """The box as it is, moved each way, and wider and narrower, by a share of its own sides."""
    share = parameters[0] if len(parameters) == 1 else 0.0
    if not 0 < share <= MOST_JITTER:
        raise UsageError(
            f"jitter needs one share above 0, {MOST_JITTER} at most, as in jitter(0.1); found "
            f"{parameters}"
        )
    moves = {
        "left": (-share, 0.0, 0.0), "right": (share, 0.0, 0.0), "up": (0.0, -share, 0.0),
        "down": (0.0, share, 0.0), "wider": (0.0, 0.0, share), "narrower": (0.0, 0.0, -share),
    }  # fmt: skip
    jitters = (View(f"{name}{share:g}", (Op("jitter", args),)) for name, args in moves.items())
    return (IDENTITY, *jitters)


def crop(place: str, height: int, width: int) -> View:
    return View(f"crop_{place}", (Op("crop", (place, height, width)),))


_PRESETS: Final[dict[str, Callable[[Parameters], Views]]] = {
    "none": _parameterless((IDENTITY,)),
    "hflip": _parameterless(_HFLIP),
    "vflip": _parameterless(_VFLIP),
    "flip": _parameterless(product(_HFLIP, _VFLIP)),
    "d4": _parameterless(product(_HFLIP, _TURNS)),
    "multiscale": _multiscale,
    "five_crop": _five_crop,
    "ten_crop": _ten_crop,
    "jitter": _jitter,
}


@dataclass(frozen=True, slots=True)
class Shaped:
    """A view, and the size of its image."""

    view: View
    size: Size
