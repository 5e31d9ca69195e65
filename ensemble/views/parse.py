"""Views from text: a preset's name, or the user's own ttach.Compose."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ensemble.errors import UsageError
from ensemble.records import Op, OpName, View
from ensemble.user_code import load_object
from ensemble.views import policy

if TYPE_CHECKING:
    import ttach
from ensemble.views.policy import IDENTITY, Views, crop, product, scales

_TTACH_CROPS: Final = {
    "crop_lt": "lt", "crop_lb": "lb", "crop_rb": "rb", "crop_rt": "rt", "center_crop": "center",
}  # fmt: skip


def read_policy(text: str) -> tuple[View, ...]:
    """Return the views of a preset, or of a `ttach.Compose` named as pkg.mod:name.

    Raises:
        UsageError: no such preset or object, or one that is not a ttach.Compose.
    """
    if ":" not in text:
        return policy.preset(text)
    compose = load_object(text, "--tta")
    if not hasattr(compose, "aug_transforms"):
        raise UsageError(f"--tta {text!r} is a {type(compose).__name__}, not a ttach.Compose")
    return from_ttach(compose, text)


def from_ttach(compose: "ttach.Compose", name: str) -> Views:
    """Read a `ttach.Compose` into views, in ttach's order; `name` is for messages.

    Raises:
        UsageError: a transform or an interpolation that has no counterpart here.
    """
    axes = [_ttach_axis(transform, name) for transform in compose.aug_transforms]
    return product(*axes)


def _ttach_axis(transform: "ttach.base.BaseTransform", name: str) -> Views:
    kind = type(transform).__name__
    if getattr(transform, "interpolation", "nearest") != "nearest":
        raise UsageError(
            f"{name}: {kind} with interpolation {transform.interpolation!r}; only nearest "
            f"(ttach's default) has a counterpart in the graph"
        )
    match kind:
        case "HorizontalFlip":
            return _switch("hflip", transform.params)
        case "VerticalFlip":
            return _switch("vflip", transform.params)
        case "Rotate90":
            return tuple(_turn(int(angle), name) for angle in transform.params)
        case "Scale":
            return scales([float(f) for f in transform.params])
        case "Resize":
            return tuple(_resize(size, transform.original_size) for size in transform.params)
        case "Add":
            return tuple(_arithmetic("add", float(v), 0) for v in transform.params)
        case "Multiply":
            return tuple(_arithmetic("multiply", float(f), 1) for f in transform.params)
        case "FiveCrops":
            crops = [(_TTACH_CROPS[f.func.__name__], f.keywords) for f in transform.params]
            return tuple(crop(place, k["crop_h"], k["crop_w"]) for place, k in crops)
    raise UsageError(f"{name}: ttach's {kind} has no counterpart in the graph")


def _switch(op: OpName, params: Sequence[bool]) -> Views:
    return tuple(View(op, (Op(op),)) if apply else IDENTITY for apply in params)


def _turn(angle: int, name: str) -> View:
    if angle % 90:
        raise UsageError(f"{name}: Rotate90 by {angle} degrees is not a quarter turn")
    turns = angle // 90 % 4
    return View(f"rot{90 * turns}", (Op("rot90", (turns,)),)) if turns else IDENTITY


def _resize(size: Sequence[int], original: Sequence[int] | None) -> View:
    height, width = (int(side) for side in size)
    if original is not None and (height, width) == tuple(original):
        return IDENTITY
    return View(f"resize{height}x{width}", (Op("resize", (height, width)),))


def _arithmetic(op: OpName, value: float, neutral: float) -> View:
    return IDENTITY if value == neutral else View(f"{op}{value:g}", (Op(op, (value,)),))
