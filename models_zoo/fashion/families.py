"""What each family of the fashion zoo is: its factory, its input, and its tensors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from data import MEAN, STD
from nets import resnet_narrow, vgg_tiny
from PIL import Image
from torch import nn


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture trained over the folds; `size` is the side of its input in pixels."""

    factory: Callable[[int], nn.Module]
    size: int


FAMILIES = {"resnet": Family(resnet_narrow, 32), "vgg": Family(vgg_tiny, 28)}


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
