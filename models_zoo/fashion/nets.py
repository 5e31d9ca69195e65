"""The families of the fashion zoo, as factories that `ensemble export --arch` can call."""

from timm.models.resnet import BasicBlock, ResNet
from torch import nn


def resnet_narrow(num_classes: int) -> nn.Module:
    """timm's ResNet with narrow channels, for one grey channel of 32x32 pixels."""
    net = ResNet(
        BasicBlock,
        layers=(1, 1, 1, 1),
        channels=(16, 32, 48, 64),
        stem_type="deep",
        stem_width=8,
        num_classes=num_classes,
        in_chans=1,
    )
    net.maxpool = nn.Identity()  # the input is small: stay at 16x16 for the first stage
    return net


def vgg_tiny(num_classes: int) -> nn.Module:
    """A plain stack of convolutions, for one grey channel of 28x28 pixels."""
    return nn.Sequential(
        *_stage(1, 24, stride=2),
        *_stage(24, 48),
        nn.MaxPool2d(2),
        *_stage(48, 80),
        nn.MaxPool2d(2),
        *_stage(80, 80),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(80, num_classes),
    )


def lenet(num_classes: int) -> nn.Module:
    """Two layers of 5x5 convolutions and two dense ones, for one grey channel of 28x28 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 40, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(40 * 5 * 5, 100),
        nn.ReLU(inplace=True),
        nn.Linear(100, num_classes),
    )


def patch_mlp(num_classes: int) -> nn.Module:
    """Patches of 4x4 pixels, each through a small dense net, then dense layers over all 49."""
    return nn.Sequential(
        nn.Conv2d(1, 48, 4, stride=4),
        nn.GELU(),
        nn.Conv2d(48, 24, 1),
        nn.GELU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(24 * 49, 80),
        nn.GELU(),
        nn.Linear(80, num_classes),
    )


def _stage(in_channels: int, out_channels: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]
