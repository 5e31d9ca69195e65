"""Factories of tiny nets in a folder, what an export of them is told, and their checkpoints."""

from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags

FACTORIES = """
from torch import nn


def body(channels, columns):
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, 2), nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, columns)
    )


def tiny(num_classes):
    return body(3, num_classes)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = body(1, 8)
        self.age = nn.Linear(8, 2)
        self.mask = nn.Linear(8, 3)

    def forward(self, x):
        x = self.body(x)
        return {"age": self.age(x), "mask": self.mask(x)}


def two_heads(num_classes):
    assert num_classes == 5
    return TwoHeads()


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = body(3, 8)
        self.years = nn.Linear(8, 1)
        self.mask = nn.Linear(8, 3)

    def forward(self, x):
        x = self.body(x)
        return self.years(x)[:, 0], self.mask(x)


def mixed(num_classes):
    return Mixed()


class Years(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = body(3, 1)

    def forward(self, x):
        return self.body(x).flatten()


def years(num_classes):
    return Years()


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = body(3, 3)

    def forward(self, x):
        return self.model(x.reshape(2, 3, 16, 16))


def frozen(num_classes):
    return Frozen()


def sigmoids(num_classes):
    return nn.Sequential(body(3, num_classes), nn.Sigmoid())


def log_softmax(num_classes):
    return nn.Sequential(body(3, num_classes), nn.LogSoftmax(1))


def batch_statistics(num_classes):
    return nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), body(3, num_classes))


def wide(num_classes, width, bias=True):
    return nn.Linear(width, num_classes, bias=bias)


def no_module(num_classes):
    return "resnet"


def no_argument():
    return body(3, 3)


def broken(num_classes):
    return {}["depth"]
"""


SIZE = PreprocessFlags(height=16, width=16, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
GREY = PreprocessFlags(height=16, width=16, mean=(0.5,), std=(0.25,))
LABEL = HeadSpec("label", ("cat", "dog", "eel"))
MODULE = "factories_of_the_export_tests"
TINY = ExportSpec(f"{MODULE}:tiny", (LABEL,), preprocess=SIZE)


def factory(folder: Path, name: str, columns: int) -> nn.Module:
    names: dict[str, Callable[[int], nn.Module]] = {}
    exec((folder / f"{MODULE}.py").read_text(), names)
    torch.manual_seed(1)
    return names[name](columns)


def checkpoint(folder: Path, state: Mapping[str, torch.Tensor]) -> Path:
    path = folder / "other-f0.safetensors"
    safetensors.torch.save_file(dict(state), path)
    return path
