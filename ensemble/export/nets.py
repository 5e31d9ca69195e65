"""Nets: an architecture by name or factory, and what it gives by head."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import cast

from torch import Tensor, __version__, inference_mode, nn

from ensemble.errors import MemberError, UsageError, few
from ensemble.export import timm_nets
from ensemble.export.spec import ExportSpec, PreprocessFlags, columns_of, is_factory
from ensemble.export.torch_errors import brief
from ensemble.records import ChannelOrder, Fit, Interpolation, Preprocess, Size
from ensemble.user_code import importable, load_object


@dataclass(frozen=True, slots=True)
class Built:
    """A net without weights, its preprocessing, the versions it came from, notes for the user."""

    net: nn.Module
    preprocess: Preprocess
    source: Mapping[str, str | float]
    notes: tuple[str, ...] = ()


def build(spec: ExportSpec) -> Built:
    """Build the net of `spec` without weights.

    Raises:
        UsageError: the architecture is unknown or cannot be built, or flags are missing.
    """
    source: dict[str, str | float] = {"torch": str(__version__)}
    source |= {f"arg:{name}": json.dumps(value) for name, value in sorted(spec.args.items())}
    if is_factory(spec.arch):
        defaults = PreprocessFlags(
            fit="crop", crop_pct=1.0, interpolation="bilinear", channel_order="rgb"
        )
        preprocess = _preprocess(defaults, spec)
        return Built(_from_factory(spec), preprocess, source)
    net, defaults, version, notes = timm_nets.build(spec)
    return Built(net, _preprocess(defaults, spec), source | {"timm": version}, notes)


def _preprocess(defaults: PreprocessFlags, spec: ExportSpec) -> Preprocess:
    told = asdict(spec.preprocess.to_unit_range())
    given = {name: value for name, value in told.items() if value is not None}
    flags = replace(defaults, **given)
    needed = [f.name for f in fields(flags) if f.name not in ("margin", "square")]
    missing = [name for name in needed if getattr(flags, name) is None]
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
        crop=flags.crop,
    )


def _from_factory(spec: ExportSpec) -> nn.Module:
    factory = load_object(spec.arch, "arch")
    if not callable(factory):
        raise UsageError(f"arch {spec.arch!r}: it is no function, but {type(factory).__name__}")
    if "num_classes" in spec.args:
        raise UsageError("--arg num_classes: it is the number of --classes; leave it out")
    given: dict[str, object] = {"num_classes": columns_of(spec), **spec.args}
    try:
        with importable(Path.cwd()), timm_nets.exportable():
            net = factory(**given)
    except Exception as error:  # a factory of the user's own may raise anything
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise UsageError(
            f"arch {spec.arch!r}: called with {told}, it raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(net, nn.Module):
        kind = type(net).__name__
        raise UsageError(f"arch {spec.arch!r}: expected a torch.nn.Module from it, got {kind}")
    return net


def forward(net: nn.Module, images: Tensor, names: Sequence[str]) -> tuple[Tensor, ...]:
    """Run a net on images (N, C, H, W), without gradients; return its heads in order, each (N, C).

    Raises:
        MemberError: the net fails, or gives other heads.
    """
    try:
        with inference_mode():
            found = net(images)
    except Exception as error:  # a net of the user's own may raise anything
        shape = "x".join(map(str, images.shape))
        raise MemberError(f"the net itself fails on images of {shape}: {brief(error)}") from error
    return in_order(found, names)


def in_order(found: object, names: Sequence[str]) -> tuple[Tensor, ...]:
    """Return what a net gave as a tuple in the order of the heads, each (N, C).

    An output (N,), as nets of one value often give it, becomes (N, 1).

    Raises:
        MemberError: it gave other heads, or another number of them.
    """
    if isinstance(found, Mapping):
        if set(found) != set(names):
            one = f"say --head {next(iter(found))}, or " if len(found) == len(names) == 1 else ""
            raise MemberError(
                f"the net returns {few(found)}; the heads are {few(names)}: {one}name each output "
                f"by --classes NAME=…, in a factory whose net returns no others"
            )
        return tuple(_columns(found[name]) for name in names)
    outputs = (found,) if isinstance(found, Tensor) else found
    if not isinstance(outputs, tuple | list) or len(outputs) != len(names):
        count = len(outputs) if isinstance(outputs, tuple | list) else type(found).__name__
        raise MemberError(
            f"the net returns {count} output(s); the heads are {few(names)}: let a factory wrap it "
            f"in a module that returns a tensor for each head, or name heads by --classes HEAD=…"
        )
    return tuple(map(_columns, outputs))


def _columns(output: Tensor) -> Tensor:
    """Return an output (N,) as (N, 1), and any other as it is."""
    return output[:, None] if output.dim() == 1 else output
