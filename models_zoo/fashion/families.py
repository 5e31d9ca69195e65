"""What each family of the fashion zoo is: its factory, its input, its tensors, its folds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from data import CLASSES, MEAN, STD
from nets import lenet, patch_mlp, resnet_narrow, vgg_tiny
from PIL import Image
from safetensors.torch import load_file
from torch import nn


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture trained over the folds; `size` is the side of its input in pixels.

    Of those that are not `shipped` the zoo holds the predictions only.
    """

    factory: Callable[[int], nn.Module]
    size: int
    shipped: bool = True


FAMILIES = {
    "resnet": Family(resnet_narrow, 32),
    "vgg": Family(vgg_tiny, 28),
    "lenet": Family(lenet, 28, shipped=False),
    "mlp": Family(patch_mlp, 28, shipped=False),
}


def checkpoint_of(name: str, fold: int) -> Path:
    """Return where the weights of a fold lie."""
    folder = "checkpoints" if FAMILIES[name].shipped else "work/checkpoints"
    return Path(__file__).parent / folder / f"{name}-f{fold}.safetensors"


def load_net(name: str, fold: int) -> nn.Module:
    """Return the net of a fold, with its weights."""
    net = FAMILIES[name].factory(len(CLASSES))
    net.load_state_dict(load_file(checkpoint_of(name, fold)))
    return net


def pixels(images: np.ndarray, size: int) -> torch.Tensor:
    """Resize as the member's card says (bicubic), and normalise: float32 (N, 1, size, size)."""
    if size != images.shape[1]:
        resize = Image.Resampling.BICUBIC
        images = np.stack([Image.fromarray(i).resize((size, size), resize) for i in images])
    return (torch.from_numpy(images.copy()).unsqueeze(1).float() / 255 - MEAN) / STD


@torch.inference_mode()
def predict(net: nn.Module, images: torch.Tensor) -> np.ndarray:
    """Return probabilities float32 (N, 10)."""
    net.eval()
    return torch.cat([net(b).softmax(1) for b in images.split(512)]).numpy()
