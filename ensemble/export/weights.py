"""Weights of a checkpoint in a net: every one under its name, or none and why."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, filterfalse, takewhile
from pathlib import Path
from typing import Final, TypeAlias, cast

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ensemble.errors import MemberError, few
from ensemble.export import timm_nets
from ensemble.export.checkpoints import Checkpoint, is_average, no_average
from ensemble.export.spec import ExportSpec, columns_of, is_factory
from ensemble.export.torch_errors import brief

_WRAPPERS: Final = ("module.", "_orig_mod.", "model.", "net.")
"""What DataParallel, torch.compile and Lightning modules put before a net's own names."""

_COUNTER: Final = "n_averaged"
_BATCHES: Final = ".num_batches_tracked"


_Shapes: TypeAlias = Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]
"""Weights of another shape: their names, their shapes, and the net's."""


@dataclass(frozen=True, slots=True)
class Placed:
    """How names of a file became a net's: the prefix that was stripped, and notes for the user."""

    stripped: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Net:
    """What is to be filled: its weights by name, and for messages the file and the order."""

    wanted: Mapping[str, Tensor]
    path: Path
    spec: ExportSpec


@dataclass(frozen=True, slots=True)
class _Part:
    """The weights under one prefix by their names without it; those that are left beside it."""

    prefix: str
    state: Mapping[str, Tensor]
    beside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load_weights(net: nn.Module, loaded: Checkpoint, path: Path, spec: ExportSpec) -> Placed:
    """Load every weight, or none, as torch's own strict `load_state_dict` does, with its hooks.

    A prefix is stripped where it leaves every weight in place. Where names are not a timm net's,
    timm's own filter of old checkpoints is tried, and a note says what it did.

    Args:
        net: The net, whose weights change.
        loaded: The checkpoint's weights.
        path: The checkpoint's file, for messages.
        spec: What the net was built from.

    Raises:
        MemberError: weights are missing, unexpected or of another shape; says which.
    """
    wanted = cast(Mapping[str, Tensor], net.state_dict())
    about = _Net(wanted, path, spec)
    part = _part(loaded, wanted, path, ema=spec.ema and not loaded.averaged)
    state, notes = part.state, part.notes
    if state.keys() != wanted.keys() and not is_factory(spec.arch):
        try:
            state, told = timm_nets.filtered(spec.arch, net, state)
        except MemberError as error:
            raise MemberError(f"{path}: {error}") from error
        notes += told
    _check_shapes(state, about, part)
    missing, unexpected = _load(net, state, _versions(loaded, part.prefix), path)
    if missing or unexpected or part.beside:
        raise _misfit(about, part, _told(missing, unexpected, []))
    return Placed(part.prefix, notes)


def _part(loaded: Checkpoint, wanted: Mapping[str, Tensor], path: Path, *, ema: bool) -> _Part:
    """Take the weights under one prefix; a copy under another, such as an average, is noted."""
    names = loaded.state
    complete = _complete(names, wanted)
    prefix = _choose(complete, path, ema=ema)
    if prefix is None:
        prefix = _likely(names, wanted)
    copies = [other for other in complete if other != prefix]
    copied = {other + key for other in copies for key in wanted} | set(map(_counter, complete))
    kept = {name: value for name, value in names.items() if name not in copied}
    inside = {n.removeprefix(prefix): v for n, v in kept.items() if n.startswith(prefix)}
    return _Part(prefix, inside, _outside(kept, prefix), tuple(map(_left_out, copies)))


def _outside(names: Iterable[str], prefix: str) -> tuple[str, ...]:
    return tuple(name for name in names if not name.startswith(prefix))


def _left_out(prefix: str) -> str:
    why = "--ema takes them" if is_average(prefix) else "--ema leaves the plain ones out"
    return f"the weights under {prefix!r} were left out ({why})"


def _complete(names: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """Return the prefixes under which every weight of the net lies, shortest first."""
    first = next(iter(wanted), "")
    found = [n.removesuffix(first) for n in names if n == first or n.endswith("." + first)]
    return sorted((p for p in found if all(p + key in names for key in wanted)), key=len)


def _choose(complete: Sequence[str], path: Path, *, ema: bool) -> str | None:
    """Return the one prefix of the weights that are meant, the average's or not; None of none."""
    averages = list(filter(is_average, complete))
    plain = list(filterfalse(is_average, complete))
    options = averages if ema or not plain else plain
    if ema and not options:
        raise no_average(path, complete or ["no weights of the net by their names"])
    if len(options) > 1:
        raise MemberError(
            f"{path}: holds every weight of the net under {' and '.join(map(repr, options))}; "
            f"leave out what is not meant with --drop {options[-1]}"
        )
    return next(iter(options), None)


def _counter(prefix: str) -> str:
    """Return the name of the steps that torch's `AveragedModel` counts beside its weights."""
    return prefix.removesuffix("module.") + _COUNTER if is_average(prefix) else ""


def _likely(names: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """Return the prefix of all names that puts most weights in place; where none is, wrappers'."""
    modules = zip(*(name.split(".")[:-1] for name in names), strict=False)
    common = [m[0] + "." for m in takewhile(lambda module: len(set(module)) == 1, modules)]
    cuts = list(accumulate(common, initial=""))
    placed = {cut: sum(cut + key in names for key in wanted) for cut in cuts}
    best = max(cuts, key=lambda cut: (placed[cut], -len(cut)))
    wrappers = "".join(takewhile(lambda module: module in _WRAPPERS, common))
    return best if placed[best] else wrappers


def _versions(loaded: Checkpoint, prefix: str) -> dict[str, object]:
    """Return what torch keeps beside a state dict, by the names of modules without the prefix."""
    module = prefix.removesuffix(".")
    if not module:
        return dict(loaded.versions)
    inner = {k: v for k, v in loaded.versions.items() if k == module or k.startswith(prefix)}
    return {name.removeprefix(module).removeprefix("."): value for name, value in inner.items()}


def _load(
    net: nn.Module, state: Mapping[str, Tensor], versions: Mapping[str, object], path: Path
) -> tuple[list[str], list[str]]:
    """Load weights by torch's rules; return the names that are missing and unexpected by them.

    Where there are any, or torch refuses a weight, the net is as it was.
    """
    before = {k: v.clone() for k, v in net.state_dict().items() if not is_lazy(v)}
    carried = OrderedDict(state)
    if versions:
        carried._metadata = OrderedDict(versions)  # type: ignore[attr-defined]
    try:
        missing, unexpected = net.load_state_dict(carried, strict=False)
    except Exception as error:  # hooks of the user's own, and those of torch, may raise anything
        _restore(net, before)
        raise MemberError(
            f"{path}: torch cannot load its weights: {brief(error)}. Save them again, as "
            f"torch.save(net.state_dict(), FILE), which keeps what torch notes beside them"
        ) from error
    if missing or unexpected:
        _restore(net, before)
    return list(missing), list(unexpected)


def _restore(net: nn.Module, before: Mapping[str, Tensor]) -> None:
    for name, value in net.state_dict().items():
        if name in before:
            value.copy_(before[name])


def _check_shapes(state: Mapping[str, Tensor], net: _Net, part: _Part) -> None:
    """Check that weights of the net's names have its shapes: nothing resizes them unasked."""
    differing = _differing(state, net.wanted)
    if not differing:
        return
    _check_classes(differing, net.path, columns_of(net.spec))
    missing = [k for k in net.wanted if k not in state and not k.endswith(_BATCHES)]
    unexpected = [key for key in state if key not in net.wanted]
    raise _misfit(net, part, _told(missing, unexpected, differing), differing)


def _differing(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> _Shapes:
    shapes = [
        (k, state[k].shape, v.shape) for k, v in wanted.items() if k in state and not is_lazy(v)
    ]
    return [(name, tuple(found), tuple(own)) for name, found, own in shapes if found != own]


def _check_classes(differing: _Shapes, path: Path, columns: int) -> None:
    """Say so where all that differs is the count of classes."""
    heads = {found[0] for _, found, wanted in differing if _is_head(found, wanted, columns)}
    if len(heads) == 1 and all(wanted[:1] == (columns,) for _, _, wanted in differing):
        raise MemberError(
            f"{path}: the checkpoint has {heads.pop()} classes, --classes gives {columns}. Give "
            f"the classes that it was trained with, in their order"
        )


def _is_head(found: Sequence[int], wanted: Sequence[int], columns: int) -> bool:
    return bool(found) and found[1:] == wanted[1:] and tuple(wanted[:1]) == (columns,)


def _told(missing: Sequence[str], unexpected: Sequence[str], differing: _Shapes) -> list[str]:
    shapes = [f"{name} {found} for {wanted}" for name, found, wanted in differing]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return [f"{len(names)} {fault}: {few(names)}" for fault, names in faults.items() if names]


def _misfit(net: _Net, part: _Part, told: Sequence[str], differing: _Shapes = ()) -> MemberError:
    """Return the error of weights that do not fit, with the advice that its faults suggest."""
    if part.beside and not told:
        drops = _drops(part.beside)
        return MemberError(
            f"{net.path}: every weight is there, under {part.prefix!r}, and {len(part.beside)} "
            f"beside it: {few(part.beside)}. They are not dropped in silence: say {drops}, "
            f"or save the net alone, as torch.save(module.{part.prefix}state_dict(), FILE)"
        )
    beside = f"; beside them: {few(part.beside)}" if part.beside else ""
    return MemberError(
        f"{net.path}: its weights do not fit {net.spec.arch}: {'; '.join(told)}{beside}. "
        f"{_advice(told, differing)}"
    )


def _advice(told: Sequence[str], differing: _Shapes) -> str:
    if differing and all(timm_nets.is_place(name) for name, _, _ in differing):
        return timm_nets.OTHER_SIZE
    if len(told) == 1 and "unexpected" in told[0]:
        names = told[0].partition(": ")[2].split(" and ")[0].split(", ")
        return (
            f"Every weight is there; what is no weight of the net is not dropped in silence: "
            f"say {_drops(names)}, or save the net's own state_dict"
        )
    return "Give the --arch that it was trained with, or rename the weights"


def _drops(names: Sequence[str]) -> str:
    firsts = dict.fromkeys(name[: name.find(".") + 1] or name for name in names)
    return " ".join(f"--drop {first}" for first in list(firsts)[:5])
