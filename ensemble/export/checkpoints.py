"""Checkpoints: what a training run's file holds becomes a state dict. No weight goes in silence."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import filterfalse
from pathlib import Path
from typing import Final, cast

import torch

from ensemble.errors import MemberError, UsageError, few
from ensemble.export.checkpoint_files import read_file
from ensemble.files.atomic import sha256_file

_CONTAINERS: Final = ("state_dict", "model_state_dict", "model")
_EMA_CONTAINERS: Final = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "ema_model")
_CURRENT: Final = "current_model_state"
"""Where Lightning's WeightAveraging puts the last weights; its state_dict is the average."""

_COUNTER: Final = "n_averaged"
_AVERAGE: Final = re.compile(r"(?:^|[._])(?:ema|swa|avg|averaged?)(?=[._])", re.IGNORECASE)
_NO_NET: Final = re.compile(r"optim|sched|scaler")
_DEEP: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights by the names of the file, and the file's hash.

    `versions` is what torch keeps beside a state dict, by module (`_metadata`); `averaged` says
    that these weights are the moving average that was asked for; `notes` is what the user should
    know of where they come from.
    """

    state: dict[str, torch.Tensor]
    sha256: str = ""
    versions: Mapping[str, object] = field(default_factory=dict)
    averaged: bool = False
    notes: tuple[str, ...] = ()


def load_checkpoint(
    path: Path,
    *,
    ema: bool = False,
    trust_pickle: bool = False,
    key: str | None = None,
    drop: Sequence[str] = (),
) -> Checkpoint:
    """Read a checkpoint: a state dict, or a file of torch, Lightning or timm that holds one.

    The step counter of torch's `AveragedModel`, `n_averaged`, is no weight and is left out.

    Args:
        path: A .safetensors file, or what `torch.save` wrote.
        ema: Take the moving average of the weights instead of the weights. Where it has no entry
            of its own, but names such as `model_ema.`, all weights are returned.
        trust_pickle: Run the code that the file's pickle asks for.
        key: The entry that holds the weights, with dots between the entries on the way to it.
        drop: What the names of entries begin with that are no weights of the net.

    Raises:
        UsageError: `key` and `ema` are both given.
        MemberError: the file is missing or damaged, needs code to be read, or holds no weights;
            nothing is at `key`; no name begins with a text of `drop`.
    """
    if key and ema:
        raise UsageError(f"--key {key} says which weights to take: leave out --ema")
    content = read_file(path, trust_pickle=trust_pickle)
    own = _own(content, path, key, ema=ema)
    found = _opened(content, path) if own is None else own
    versions = cast(Mapping[str, object], getattr(found, "_metadata", {}))
    state = _weights(_without(found, drop, path), content, path)
    averaged = ema and own is not None
    if ema and not (averaged or any(map(is_average, state))):
        raise no_average(path, content if isinstance(content, Mapping) else state)
    notes = _notes(content) if own is None else ()
    return Checkpoint(state, sha256_file(path), versions, averaged, notes)


def is_average(name: str) -> bool:
    """Tell whether a weight's name says that it is of a moving average, as model_ema.fc.bias."""
    return bool(_AVERAGE.search(".".join(name.split(".")[:2]) + "."))


def no_average(path: Path, found: Collection[object]) -> MemberError:
    """Return the error of a file without a moving average; `found` is what it has."""
    return MemberError(
        f"{path}: holds no EMA weights ({', '.join(_EMA_CONTAINERS)}); it has {few(found)}. "
        f"Leave out --ema to use its plain weights"
    )


def _own(
    content: object, path: Path, key: str | None, *, ema: bool
) -> Mapping[object, object] | None:
    """Return the weights of the entry that was asked for; None where none was, or has its own."""
    if key:
        return _at(content, key, path)
    return _average(content, path) if ema else None


def _average(content: object, path: Path) -> Mapping[object, object] | None:
    """Return the moving average that has an entry of its own, or None."""
    if _is_swapped(content):
        return _opened(content, path)
    named = ((n, v) for n, v in _entries(content) if n.rpartition(".")[2] in _EMA_CONTAINERS)
    found = {name: value for name, value in named if _may_hold(value)}
    if len(found) > 1:
        raise _several(path, list(found))
    return next((_opened(value, path) for value in found.values()), None)


def _is_swapped(content: object) -> bool:
    return isinstance(content, Mapping) and isinstance(content.get(_CURRENT), Mapping)


def _notes(content: object) -> tuple[str, ...]:
    """Say where the weights that are taken unasked are an average."""
    if not _is_swapped(content):
        return ()
    return (
        f"its state_dict is an average, as WeightAveraging wrote it; the last weights lie under "
        f"{_CURRENT} (--key {_CURRENT})",
    )


def _opened(content: object, path: Path) -> Mapping[object, object]:
    """Open the containers one in another, down to a state dict or a net that was pickled whole."""
    if isinstance(content, torch.nn.Module):
        return cast(Mapping[object, object], content.state_dict())
    if not isinstance(content, Mapping):
        raise MemberError(
            f"{path}: expected a state dict, found {type(content).__name__}{_remedy(content)}"
        )
    held = [n for n in _CONTAINERS if isinstance(content.get(n), Mapping | torch.nn.Module)]
    found = [n for n in held if content[n] != {}] or held[:1]  # an empty entry holds nothing
    if len(found) > 1:
        raise _several(path, found)
    return _opened(content[found[0]], path) if found else content


def _several(path: Path, names: Sequence[str]) -> MemberError:
    return MemberError(
        f"{path}: holds weights under {' and '.join(names)}; say which with --key {names[0]}, or "
        f"save the one to use alone, as torch.save(torch.load(FILE)[{names[0]!r}], OTHER)"
    )


def _at(content: object, key: str, path: Path) -> Mapping[object, object]:
    """Return the weights at an entry that was named."""
    entries = dict(_entries(content))
    if key not in entries:
        there = few(entries) or "none"
        raise MemberError(
            f"{path}: --key {key}: no such entry; those that may hold weights: {there}"
        )
    return _opened(entries[key], path)


def _entries(content: object, depth: int = _DEEP) -> Iterator[tuple[str, object]]:
    """Yield each mapping and net within a file's content, by its keys with dots between them."""
    listed = dict(enumerate(content)) if isinstance(content, list | tuple) else content
    if not isinstance(listed, Mapping) or not depth:
        return
    for name, value in listed.items():
        if isinstance(value, Mapping | torch.nn.Module):
            yield str(name), value
        if isinstance(value, Mapping | list | tuple):
            yield from ((f"{name}.{inner}", v) for inner, v in _entries(value, depth - 1))


def _is_state(value: object) -> bool:
    return isinstance(value, torch.nn.Module) or (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items())
    )


def _may_hold(value: object) -> bool:
    return _is_state(value) or (isinstance(value, Mapping) and any(c in value for c in _CONTAINERS))


def _remedy(content: object) -> str:
    """Say how to take the weights that lie under other entries; the nearest are named."""
    holding = (name for name, value in _entries(content) if _is_state(value))
    nets = list(filterfalse(_NO_NET.search, holding))
    least = min((name.count(".") for name in nets), default=0)
    near = [name for name in nets if name.count(".") == least]
    if not near:
        return ""
    where = "".join(f"[{part if part.isdigit() else repr(part)}]" for part in near[0].split("."))
    return (
        f". Weights lie under {few(near)}: say --key {near[0]}, or save them alone, as "
        f"torch.save(torch.load(FILE){where}, OTHER)"
    )


def _without(
    found: Mapping[object, object], drop: Sequence[str], path: Path
) -> Mapping[object, object]:
    idle = [p for p in drop if not any(str(name).startswith(p) for name in found)]
    if idle:
        raise MemberError(f"{path}: --drop {idle[0]}: no name begins with it; leave it out")
    return {k: v for k, v in found.items() if not str(k).startswith(tuple(drop))} if drop else found


def _weights(
    found: Mapping[object, object], content: object, path: Path
) -> dict[str, torch.Tensor]:
    """Check that a mapping holds weights by name, and nothing else."""
    foreign = _foreign(found)
    faults = {
        "values that are no tensors": foreign,
        "names that are no text": [k for k in found if not isinstance(k, str)],
        "sparse or quantised tensors (save them as x.to_dense() or x.dequantize())": _odd(found),
    }
    told = [f"{fault}: {few(names)}" for fault, names in faults.items() if names]
    if told or not found:
        raise MemberError(
            f"{path}: expected a state dict, bare or under {', '.join(_CONTAINERS)}; it holds "
            f"{'; '.join(told) or 'no weights'}{_remedy(content) or _advice(content, foreign)}"
        )
    return _without_counter(cast(Mapping[str, torch.Tensor], found))


def _advice(content: object, foreign: Sequence[object]) -> str:
    """Say what to do with a file where no other entry holds weights."""
    values = list(content.values()) if isinstance(content, Mapping) else []
    if values and all(type(value).__module__ == "numpy" for value in values):
        return ". They are NumPy arrays: save each as torch.from_numpy(x)"
    if not any(isinstance(value, torch.Tensor) for value in values):
        return ". No weights are among them: save those of the net, as net.state_dict()"
    return f". Leave them out with --drop {foreign[0]} and the like" if foreign else ""


def _without_counter(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out the steps that torch's `AveragedModel` counts, which are no weight."""
    others = {k: v for k, v in weights.items() if k != _COUNTER}
    averaged = all(k.startswith("module.") for k in others)
    return others if averaged else dict(weights)


def _foreign(found: Mapping[object, object]) -> list[object]:
    return [k for k, v in found.items() if not isinstance(v, torch.Tensor)]


def _odd(found: Mapping[object, object]) -> list[object]:
    tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
    return [k for k, v in tensors.items() if v.layout != torch.strided or v.is_quantized]
