"""What each family of the garments zoo is: its factory, its heads, and what it learns."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from data import JOINT, KINDS, ORIENTATIONS
from nets import MIDDLE, SPREAD, joint_net, kind_net, size_net, three_heads, turn_net
from torch import nn

from ensemble import HeadSpec

FOLDS = 5
MEAN, STD = 0.22, 0.22
BIN = 2
BINS = tuple(range(16, 45, BIN))
"""The classes of `size_net`: each is called after the least of its two sizes in pixels."""

LABEL = HeadSpec("label", tuple(map(str, range(len(JOINT)))))
KIND = HeadSpec("kind", tuple(KINDS))
ORIENTATION = HeadSpec("orientation", ORIENTATIONS)
SIZE = HeadSpec("size", tuple(map(str, BINS)))
SIZE_VALUE = HeadSpec("size", ("size",), task="regression")


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture trained over the folds."""

    factory: Callable[[int], nn.Module]
    heads: tuple[HeadSpec, ...]
    epochs: int

    def net(self) -> nn.Module:
        """Return the net without its weights."""
        return self.factory(sum(len(head.classes) for head in self.heads))


FAMILIES = {
    "joint": Family(joint_net, (LABEL,), 14),
    "kind_net": Family(kind_net, (KIND,), 10),
    "turn_net": Family(turn_net, (ORIENTATION,), 10),
    "size_net": Family(size_net, (SIZE,), 10),
    "three": Family(three_heads, (KIND, ORIENTATION, SIZE_VALUE), 14),
}


def checkpoint_of(name: str, fold: int) -> Path:
    """Return where the weights of a fold lie."""
    return Path(__file__).parent / "work" / "checkpoints" / f"{name}-f{fold}.safetensors"


def member_of(name: str, fold: int) -> Path:
    """Return where the member of a fold lies."""
    return Path(__file__).parent / "members" / f"{name}-f{fold}.onnx"


def normalised(pixels: np.ndarray) -> torch.Tensor:
    """Turn scenes uint8 (N, 64, 64) into inputs float32 (N, 1, 64, 64)."""
    return (torch.from_numpy(pixels.copy()).unsqueeze(1).float() / 255 - MEAN) / STD


def targets_of(labels: np.ndarray, sizes: np.ndarray, head: HeadSpec) -> torch.Tensor:
    """Return what a head learns of scenes, float32 (N, C).

    A regression learns sizes; classes of sizes learn a share of their neighbours, since a size is
    near the next; other classes are 0 and 1.

    Args:
        labels: Joint labels int64 (N,).
        sizes: In pixels, int64 (N,).
        head: Of which task.
    """
    if head is SIZE_VALUE:
        return torch.from_numpy(sizes[:, None]).float()
    if head is SIZE:
        steps = (sizes[:, None] - (np.array(BINS) + (BIN - 1) / 2)) / BIN
        near = np.exp(-0.5 * steps**2)
        return torch.from_numpy(near / near.sum(1, keepdims=True)).float()
    parts = {"label": (1, len(JOINT)), "kind": (6, 3), "orientation": (3, 2)}
    step, count = parts[head.name]
    return nn.functional.one_hot(torch.from_numpy(labels // step % count), count).float()


def loss_of(found: torch.Tensor, target: torch.Tensor, head: HeadSpec) -> torch.Tensor:
    """Return the loss of a head: cross entropy, or a smooth absolute error in spreads."""
    if head.task == "regression":
        return nn.functional.smooth_l1_loss((found - MIDDLE) / SPREAD, (target - MIDDLE) / SPREAD)
    return nn.functional.cross_entropy(found, target)
