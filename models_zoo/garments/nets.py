"""The families of the garments zoo, as factories that `ensemble export --arch` can call.

All take one grey channel of 64x64 pixels.
"""

import torch
from torch import nn

MIDDLE, SPREAD = 30.0, 8.0
"""About the mean of a garment's size in pixels, and its spread."""


def joint_net(num_classes: int) -> nn.Module:
    """Joint labels: the widest trunk."""
    return nn.Sequential(*_trunk(16, 24, 48, 72), nn.Dropout(0.1), nn.Linear(72, num_classes))


def kind_net(num_classes: int) -> nn.Module:
    """Kinds."""
    return nn.Sequential(*_trunk(12, 24, 40, 56), nn.Dropout(0.1), nn.Linear(56, num_classes))


def turn_net(num_classes: int) -> nn.Module:
    """Orientations."""
    return nn.Sequential(*_trunk(12, 20, 40, 56), nn.Dropout(0.1), nn.Linear(56, num_classes))


def size_net(num_classes: int) -> nn.Module:
    """Sizes as classes, each of two pixels."""
    return nn.Sequential(*_trunk(12, 24, 40, 64), nn.Dropout(0.1), nn.Linear(64, num_classes))


class ThreeHeads(nn.Module):
    """One trunk with a head a task: kinds, orientations, and the size as one value in pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*_trunk(16, 24, 40, 64), nn.Dropout(0.1))
        self.kind = nn.Linear(64, 3)
        self.orientation = nn.Linear(64, 2)
        self.size = nn.Linear(64, 1)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.trunk(images)
        return {
            "kind": self.kind(features),
            "orientation": self.orientation(features),
            "size": MIDDLE + SPREAD * self.size(features),
        }


def three_heads(num_classes: int) -> nn.Module:
    """All three tasks: 3 kinds, 2 orientations and a value are 6 columns."""
    if num_classes != 6:
        raise ValueError(f"num_classes {num_classes}: expected 6")
    return ThreeHeads()


def _trunk(*widths: int) -> list[nn.Module]:
    """Four stages of convolutions to 8x8 cells, and the largest of each feature."""
    first, second, third, fourth = widths
    return [
        *_stage(1, first, stride=2),
        *_stage(first, second, stride=2),
        nn.MaxPool2d(2),
        *_stage(second, third),
        *_stage(third, fourth),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
    ]


def _stage(in_channels: int, out_channels: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]
