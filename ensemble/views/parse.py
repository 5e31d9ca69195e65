"""Views from text: a preset's name, or the user's own ttach.Compose."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ensemble.errors import UsageError
from ensemble.records import Op, OpName, View
from ensemble.user_code import load_object
from ensemble.views import policy
from ensemble.views.policy import IDENTITY, Views, crop, product, scales
from ensemble.views.spelling import is_list, read_list

if TYPE_CHECKING:
    import ttach

_TTACH_CROPS: Final = {
    "crop_lt": "lt", "crop_lb": "lb", "crop_rb": "rb", "crop_rt": "rt", "center_crop": "center",
}  # fmt: skip


def read_policy(text: str) -> tuple[View, ...]:
    """Return the views of a preset, of a list, or of a `ttach.Compose` named as pkg.mod:name.

    Raises:
        UsageError: no such preset or object, or one that is not a ttach.Compose.
    """
    if is_list(text):
        return read_list(text)
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
    if kind not in _AXES:
        raise UsageError(f"{name}: ttach's {kind} has no counterpart in the graph")
    return _AXES[kind](transform, name)


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


_AXES: "Final[Mapping[str, Callable[[ttach.base.BaseTransform, str], Views]]]" = {
    "HorizontalFlip": lambda axis, _: _switch("hflip", axis.params),
    "VerticalFlip": lambda axis, _: _switch("vflip", axis.params),
    "Rotate90": lambda axis, name: tuple(_turn(int(angle), name) for angle in axis.params),
    "Scale": lambda axis, _: scales([float(factor) for factor in axis.params]),
    "Resize": lambda axis, _: tuple(_resize(size, axis.original_size) for size in axis.params),
    "Add": lambda axis, _: tuple(_arithmetic("add", float(v), 0) for v in axis.params),
    "Multiply": lambda axis, _: tuple(_arithmetic("multiply", float(v), 1) for v in axis.params),
    "FiveCrops": lambda axis, _: tuple(
        crop(_TTACH_CROPS[cut.func.__name__], cut.keywords["crop_h"], cut.keywords["crop_w"])
        for cut in axis.params
    ),
}
"""How a transform of ttach becomes views, by its kind; the text names the policy in messages."""
