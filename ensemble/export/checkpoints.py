"""Checkpoints: what a training run's file holds becomes a state dict. No weight goes in silence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    own, notes = (_at(content, key, path), []) if key else _chosen(content, path, ema)
    averaged = ema and own is not None
    found = _opened(content, path) if own is None else own
    versions = cast(Mapping[str, object], getattr(found, "_metadata", {}))
    state = _weights(_without(found, drop, path), content, path)
    if ema and not averaged and not any(is_average(name) for name in state):
        raise no_average(path, content if isinstance(content, Mapping) else state)
    return Checkpoint(state, sha256_file(path), versions, averaged, tuple(notes))


def is_average(name: str) -> bool:
    """Tell whether a weight's name says that it is of a moving average, as model_ema.fc.bias."""
    return bool(_AVERAGE.search(".".join(name.split(".")[:2]) + "."))


def no_average(path: Path, found: Mapping[object, object] | Mapping[str, object]) -> MemberError:
    """Return the error of a file without a moving average; `found` is what it has."""
    return MemberError(
        f"{path}: holds no EMA weights ({', '.join(_EMA_CONTAINERS)}); it has {few(found)}. "
        f"Leave out --ema to use its plain weights"
    )


def _chosen(
    content: object, path: Path, ema: bool
) -> tuple[Mapping[object, object] | None, list[str]]:
    """Return the weights that have an entry of their own, or None; and notes."""
    swapped = isinstance(content, Mapping) and isinstance(content.get(_CURRENT), Mapping)
    if swapped and not ema:
        return None, [
            f"its state_dict is an average, as WeightAveraging wrote it; the last weights lie "
            f"under {_CURRENT} (--key {_CURRENT})"
        ]
    if swapped:
        return _opened(content, path), []
    found = {
        name: value
        for name, value in _entries(content)
        if ema and name.rpartition(".")[2] in _EMA_CONTAINERS and _may_hold(value)
    }
    if len(found) > 1:
        raise _several(path, list(found))
    return next((_opened(value, path) for value in found.values()), None), []


def _opened(content: object, path: Path) -> Mapping[object, object]:
    """Open the containers one in another, down to a state dict or a net that was pickled whole."""
    if isinstance(content, torch.nn.Module):
        return cast(Mapping[object, object], content.state_dict())
    if not isinstance(content, Mapping):
        holding = [name for name, value in _entries(content) if _is_state(value)]
        raise MemberError(
            f"{path}: expected a state dict, found {type(content).__name__}{_remedy(holding)}"
        )
    found = [n for n in _CONTAINERS if isinstance(content.get(n), Mapping | torch.nn.Module)]
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


def _remedy(holding: Sequence[str]) -> str:
    """Say how to take the weights that lie under other entries; the nearest are named."""
    nets = [name for name in holding if not _NO_NET.search(name)]
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
    faults = {
        "values that are no tensors": [
            k for k, v in found.items() if not isinstance(v, torch.Tensor)
        ],
        "names that are no text": [k for k in found if not isinstance(k, str)],
        "sparse or quantised tensors (save them as x.to_dense() or x.dequantize())": [
            k for k, v in found.items() if isinstance(v, torch.Tensor) and _is_odd(v)
        ],
    }
    told = [f"{fault}: {few(names)}" for fault, names in faults.items() if names]
    if told or not found:
        holding = [name for name, value in _entries(content) if _is_state(value)]
        foreign = faults["values that are no tensors"]
        other = f". Leave them out with --drop {foreign[0]} and the like" if foreign else ""
        raise MemberError(
            f"{path}: expected a state dict, bare or under {', '.join(_CONTAINERS)}; it holds "
            f"{'; '.join(told) or 'no weights'}{_remedy(holding) or other}"
        )
    weights = cast(Mapping[str, torch.Tensor], found)
    others = [k for k in weights if k != _COUNTER]
    averaged = len(others) < len(weights) and all(k.startswith("module.") for k in others)
    return {k: v for k, v in weights.items() if not (averaged and k == _COUNTER)}


def _is_odd(value: torch.Tensor) -> bool:
    return bool(value.layout != torch.strided or value.is_quantized)
