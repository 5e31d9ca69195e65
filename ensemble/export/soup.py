"""Soups: the weights of several checkpoints averaged into one net, its batch norms recalibrated.

A uniform soup (Wortsman et al. 2022, arXiv:2203.05482). What batch norms saw of their inputs while
they were trained is not what they see of averaged weights, so it is measured anew on images, as
for the averages of Izmailov et al. 2018 (arXiv:1803.05407).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from ensemble.arrays import Pooled
from ensemble.errors import MemberError, UsageError, few
from ensemble.export.loaded_net import LoadedNet
from ensemble.export.nets import forward

Inputs: TypeAlias = NDArray[np.float32]
"""float32 (N, C, H, W): normalised images, as a net takes them."""


def averaged(parts: Sequence[LoadedNet]) -> LoadedNet:
    """Return a net with the mean of the parts' weights, the same in whatever order they are given.

    Its batch norms still are those of one part; see `recalibrated`.

    Raises:
        UsageError: fewer than two parts, or two that are one file.
    """
    parts = sorted(parts, key=_sha256)
    if len(set(map(_sha256, parts))) < max(2, len(parts)):
        names = few([part.checkpoint for part in parts])
        raise UsageError(f"--soup of {names}: expected two checkpoints or more, all different")
    mean = AveragedModel(parts[0].net, use_buffers=False)
    for part in parts:
        mean.update_parameters(part.net)
    return LoadedNet(
        Path(f"soup of {few([part.checkpoint.name for part in parts])}"),
        cast(nn.Module, mean.module).eval(),
        parts[0].preprocess,
        _source(parts),
        notes=tuple(dict.fromkeys([*chain(*(part.notes for part in parts)), *_left(parts)])),
    )


def recalibrated(soup: LoadedNet, heads: Sequence[str], batches: Iterable[Inputs]) -> int:
    """Set the statistics of a soup's batch norms to the means over batches; return how many images.

    All else stays in evaluation mode, so that dropout is off. Without a batch norm that keeps
    statistics nothing is done, and 0 returned.

    Raises:
        MemberError: the net fails.
    """
    norms = [norm for norm in _norms(soup.net) if norm.track_running_stats]
    if not norms:
        return 0
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the mean over all batches
        norm.train()
    images = 0
    for batch in batches:
        _run(soup, heads, batch)
        images += len(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return images


def outputs(loaded: LoadedNet, heads: Sequence[str], inputs: Inputs) -> tuple[Pooled, ...]:
    """Return what a net gives of each head, before any activation: float64 (N, C).

    Raises:
        MemberError: the net fails, or gives NaN or infinity.
    """
    found = _run(loaded, heads, inputs)
    if not all(np.isfinite(values).all() for values in found):
        raise MemberError(f"{loaded.checkpoint}: gives NaN or infinity on the images")
    return found


def _run(loaded: LoadedNet, heads: Sequence[str], inputs: Inputs) -> tuple[Pooled, ...]:
    try:
        found = forward(loaded.net, torch.from_numpy(inputs), heads)
    except MemberError as error:
        raise MemberError(f"{loaded.checkpoint}: {error}") from error
    return tuple(values.double().numpy() for values in found)


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [module for module in net.modules() if isinstance(module, _BatchNorm)]


def _sha256(part: LoadedNet) -> str:
    return str(part.source["checkpoint_sha256"])


def _left(parts: Sequence[LoadedNet]) -> list[str]:
    """Note the buffers that differ and are no batch norm's: no average is known of them."""
    last = parts[-1]
    apart = {id(buffer) for norm in _norms(last.net) for buffer in norm.buffers()}
    found = [
        name
        for name, buffer in last.net.named_buffers()
        if id(buffer) not in apart
        and not all(torch.equal(part.net.get_buffer(name), buffer) for part in parts)
    ]
    if not found:
        return []
    return [f"the buffers {few(found)} are those of {last.checkpoint.name}, as only weights have "
            f"an average"]  # fmt: skip


def _source(parts: Sequence[LoadedNet]) -> Mapping[str, str | float]:
    """Say on the card of what it was made: what all parts share, and each part's file."""
    own = ("checkpoint", "checkpoint_sha256")
    told = dict(parts[0].source)
    shared = {
        name: value
        for name, value in told.items()
        if name not in own and all(part.source.get(name) == value for part in parts)
    }
    files = {
        f"soup:{number}": f"{part.source['checkpoint']} {_sha256(part)}"
        for number, part in enumerate(parts, 1)
    }
    trusted = any("trusted_pickle" in part.source for part in parts)
    return {**shared, "soup": len(parts), **files, **({"trusted_pickle": "yes"} if trusted else {})}
