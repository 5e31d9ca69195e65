"""Nets: an architecture by name or factory, the checkpoint's weights in it, all or none."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Final, cast

import torch
from torch import Tensor, nn

from ensemble.errors import MemberError, UsageError, few
from ensemble.export.spec import ExportSpec, PreprocessFlags
from ensemble.records import ChannelOrder, Fit, Interpolation, Preprocess, Size
from ensemble.user_code import importable, load_object

NET_ERRORS: Final = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
)
"""What a net may raise of its own accord while it is built, run or traced."""

_FITS: Final[Mapping[str, Fit]] = {"center": "crop", "squash": "squash", "border": "pad"}


def build(spec: ExportSpec) -> tuple[nn.Module, Preprocess, dict[str, str | float]]:
    """Build the net of `spec` without weights; its preprocessing; the versions it came from.

    Raises:
        UsageError: the architecture is unknown or cannot be built, or flags are missing.
    """
    source: dict[str, str | float] = {"torch": str(torch.__version__)}
    if ":" in spec.arch and "/" not in spec.arch:
        defaults = PreprocessFlags(
            fit="crop", crop_pct=1.0, interpolation="bilinear", channel_order="rgb"
        )
        preprocess = _preprocess(defaults, spec)
        return _from_factory(spec), preprocess, source
    net, defaults, version = _from_timm(spec)
    return net, _preprocess(defaults, spec), source | {"timm": version}


def _preprocess(defaults: PreprocessFlags, spec: ExportSpec) -> Preprocess:
    told = asdict(spec.preprocess.to_unit_range())
    given = {name: value for name, value in told.items() if value is not None}
    flags = replace(defaults, **given)
    missing = [f.name for f in fields(flags) if getattr(flags, f.name) is None]
    if missing:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise UsageError(f"{spec.arch} with {spec.in_chans} channels: nothing tells {names}")
    mean, std = cast(tuple[float, ...], flags.mean), cast(tuple[float, ...], flags.std)
    if {len(mean), len(std)} != {spec.in_chans}:
        raise UsageError(
            f"mean has {len(mean)} values and std {len(std)}; expected {spec.in_chans}, one a "
            f"channel: mend --mean, --std or --in-chans"
        )
    return Preprocess(
        size=Size(cast(int, flags.height), cast(int, flags.width)),
        fit=cast(Fit, flags.fit),
        crop_pct=float(cast(float, flags.crop_pct)),
        interpolation=cast(Interpolation, flags.interpolation),
        mean=tuple(map(float, mean)),
        std=tuple(map(float, std)),
        channel_order=cast(ChannelOrder, flags.channel_order),
    )


def _from_timm(spec: ExportSpec) -> tuple[nn.Module, PreprocessFlags, str]:
    """Build a timm net; its preprocessing (no mean or std for one channel); timm's version."""
    import timm  # noqa: PLC0415 - a factory needs no timm
    import timm.data  # noqa: PLC0415

    if not timm.is_model(spec.arch):
        near = difflib.get_close_matches(spec.arch, timm.list_models(), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "See timm.list_models()"
        raise UsageError(f"arch {spec.arch!r}: no timm net, nor pkg.mod:factory. {hint}")
    try:
        known = timm.get_pretrained_cfg(spec.arch)
        sizes = {}
        if known is not None and known.fixed_input_size:
            _, height, width = known.input_size
            asked = (spec.preprocess.height or height, spec.preprocess.width or width)
            sizes = {} if asked == (height, width) else {"img_size": asked}
        net: nn.Module = timm.create_model(
            spec.arch,
            pretrained=False,
            num_classes=columns_of(spec),
            in_chans=spec.in_chans,
            **sizes,
        )
    except NET_ERRORS as error:
        raise UsageError(f"arch {spec.arch!r}: timm cannot build it: {brief(error)}") from error
    config = timm.data.resolve_model_data_config(net)
    colours = spec.in_chans == len(config["mean"])
    defaults = PreprocessFlags(
        height=config["input_size"][1],
        width=config["input_size"][2],
        fit=_FITS.get(config["crop_mode"]),
        crop_pct=config["crop_pct"],
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]) if colours else None,
        std=tuple(config["std"]) if colours else None,
        channel_order="rgb",
    )
    return net, defaults, timm.__version__


def _from_factory(spec: ExportSpec) -> nn.Module:
    factory = load_object(spec.arch, "arch")
    if not callable(factory):
        raise UsageError(f"arch {spec.arch!r}: it is no function, but {type(factory).__name__}")
    try:
        with importable(Path.cwd()):
            net = factory(num_classes=columns_of(spec))
    except Exception as error:  # a factory of the user's own may raise anything
        raise UsageError(
            f"arch {spec.arch!r}: called with num_classes={columns_of(spec)}, it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(net, nn.Module):
        kind = type(net).__name__
        raise UsageError(f"arch {spec.arch!r}: expected a torch.nn.Module from it, got {kind}")
    return net


def columns_of(spec: ExportSpec) -> int:
    return sum(len(head.classes) for head in spec.heads)


def load_weights(
    net: nn.Module, state: Mapping[str, Tensor], stripped: str, path: Path, spec: ExportSpec
) -> str:
    """Load every weight, or none.

    Args:
        net: The net, whose weights change.
        state: The checkpoint's weights.
        stripped: The prefix that their names had in the file.
        path: The checkpoint's file, for messages.
        spec: What the net was built from.

    Returns:
        The part of the prefix that the net does not carry itself.

    Raises:
        MemberError: weights are missing, unexpected or of another shape; says which.
    """
    wanted = cast(Mapping[str, Tensor], net.state_dict())
    state, stripped = _named_as(state, stripped, wanted)
    _check_classes(state, wanted, path, columns_of(spec))
    both = [key for key in wanted if key in state]
    faults = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "of another shape": [
            f"{key} {tuple(state[key].shape)} for {tuple(wanted[key].shape)}"
            for key in both
            if state[key].shape != wanted[key].shape
        ],
    }
    told = [f"{len(keys)} {fault}: {few(keys)}" for fault, keys in faults.items() if keys]
    if told:
        raise MemberError(
            f"{path}: its weights do not fit {spec.arch}: {'; '.join(told)}. "
            f"{_advice(state, wanted)}"
        )
    net.load_state_dict(dict(state), strict=True)
    return stripped


def _advice(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Say what would help: often every weight is there, under a prefix and beside something."""
    first = next(iter(wanted))
    for prefix in (key.removesuffix(first) for key in state if key.endswith(first)):
        if all(prefix + key in state for key in wanted):
            beside = [key for key in state if key.removeprefix(prefix) not in wanted]
            return (
                f"Every weight is there, under {prefix!r}; beside them are {few(beside)}, which "
                f"are not dropped in silence: save the net's own state_dict"
            )
    return "Give the --arch that it was trained with, or rename the weights"


def _named_as(
    state: Mapping[str, Tensor], stripped: str, wanted: Mapping[str, Tensor]
) -> tuple[Mapping[str, Tensor], str]:
    """Give back the part of the stripped prefix that the net itself carries, if any."""
    for start in range(len(stripped)):
        own = stripped[start:]
        renamed = {own + key: value for key, value in state.items()}
        if renamed.keys() == wanted.keys():
            return renamed, stripped[:start]
    return state, stripped


def _check_classes(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path, columns: int
) -> None:
    shapes = [(state[k].shape, w.shape) for k, w in wanted.items() if k in state]
    differing = [(s, w) for s, w in shapes if s != w]
    counts = {s[0] for s, w in differing if s[1:] == w[1:] and w[:1] == (columns,)}
    if differing and len(counts) == 1 and all(w[:1] == (columns,) for _, w in differing):
        raise MemberError(
            f"{path}: the checkpoint has {counts.pop()} classes, --classes gives {columns}. Give "
            f"the classes that it was trained with, in their order"
        )


def in_order(found: object, names: Sequence[str]) -> tuple[Tensor, ...]:
    """Return what a net gave as a tuple in the order of the heads.

    Raises:
        MemberError: it gave other heads, or another number of them.
    """
    if isinstance(found, Mapping):
        if set(found) != set(names):
            raise MemberError(f"the net returns {few(found)}; the heads are {few(names)}")
        return tuple(found[name] for name in names)
    outputs = (found,) if isinstance(found, Tensor) else found
    if not isinstance(outputs, tuple | list) or len(outputs) != len(names):
        count = len(outputs) if isinstance(outputs, tuple | list) else type(found).__name__
        raise MemberError(f"the net returns {count} output(s); the heads are {few(names)}")
    return tuple(outputs)


def brief(error: BaseException) -> str:
    """Return the first two lines of an error of torch or timm."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
