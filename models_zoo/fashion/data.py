"""Fashion-MNIST as Debian's package dataset-fashion-mnist lays it out, and the zoo's folds."""

import gzip
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

DATA = Path("/usr/share/datasets/fashion-mnist")
FOLDS = 5
CLASSES = ("tshirt", "trouser", "pullover", "dress", "coat",
           "sandal", "shirt", "sneaker", "bag", "boot")  # fmt: skip
MEAN, STD = 0.2860, 0.3530


def read_split(data: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, 28, 28) and labels int64 (N,) of the split "train" or "t10k"."""
    images = _read_idx(data / f"{split}-images-idx3-ubyte.gz")
    labels = _read_idx(data / f"{split}-labels-idx1-ubyte.gz")
    return images, labels.astype(np.int64)


def ids_of(split: str, count: int) -> list[str]:
    """Name the rows of a split: train-00000, train-00001, …"""
    return [f"{split}-{row:05d}" for row in range(count)]


def fold_of_rows(labels: np.ndarray) -> np.ndarray:
    """Return the fold int64 (N,) of each training row: stratified, the same on every machine."""
    folds = np.empty(len(labels), np.int64)
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for fold, (_, rows) in enumerate(splitter.split(labels, labels)):
        folds[rows] = fold
    return folds


def _read_idx(path: Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)
