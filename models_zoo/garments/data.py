"""What the scenes of the garments zoo show: drawn by three tasks that depend on one another.

    python models_zoo/garments/data.py test 10000 work/test

writes scenes to a folder: PNG files in images/, labels.csv and boxes.csv.

A joint label is a kind of garment, its orientation and its size. The garments are Fashion-MNIST's,
as Debian's package dataset-fashion-mnist lays them out; `draw` makes pixels of them.
"""

import argparse
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from draw import Drawn, draw
from PIL import Image

DATA = Path("/usr/share/datasets/fashion-mnist")
SPLITS = {"train": "train", "test": "t10k"}
"""The splits of the zoo, and what Fashion-MNIST calls the one that its garments are from."""

TRAIN, TEST, SHIPPED = 6000, 10_000, 300
"""How many scenes are trained on, how many are measured on, and how many of these are shipped."""

KINDS = {"tops": (0, 2, 4, 6), "bottoms": (1, 3), "shoes": (5, 7, 9)}
"""The classes of Fashion-MNIST that make a kind: bottoms are trousers and dresses; bags are out."""

ORIENTATIONS = ("upright", "turned")
SIZES = {"<24": (16, 23), "24-33": (24, 33), ">=34": (34, 44)}
"""The least and the largest side of a garment of a size, in pixels."""

JOINT = tuple(product(KINDS, ORIENTATIONS, SIZES))
"""What the joint label of each number says: kind, orientation, size."""

SHARES = (
    0.075, 0.15, 0.15,  # tops, upright: small, middle, large
    0.05, 0.04375, 0.03125,  # tops, turned
    0.02475, 0.05775, 0.0825,  # bottoms, upright
    0.0405, 0.054, 0.0405,  # bottoms, turned
    0.08, 0.0528, 0.0272,  # shoes, upright
    0.018, 0.012, 0.01,  # shoes, turned
)  # fmt: skip
"""The share of each joint label."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene and what it shows.

    `label` is the number of a joint label. `size` is the side in pixels of the square in which
    Fashion-MNIST shows the garment, before it was stretched and turned: 16 to 44.
    """

    drawn: Drawn
    label: int
    size: int


def read_garments(data: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the garments uint8 (N, 28, 28) of the split "train" or "test", and their kinds.

    Kinds are int64 (N,): their numbers in `KINDS`, or -1 of none.
    """
    name = SPLITS[split]
    classes = _read_idx(data / f"{name}-labels-idx1-ubyte.gz")
    kinds = np.full(len(classes), -1)
    for number, members in enumerate(KINDS.values()):
        kinds[np.isin(classes, members)] = number
    return _read_idx(data / f"{name}-images-idx3-ubyte.gz"), kinds


def ids_of(split: str, count: int) -> list[str]:
    """Name the scenes of a split: train-00000, train-00001, …"""
    return [f"{split}-{row:05d}" for row in range(count)]


def scenes(
    garments: np.ndarray, kinds: np.ndarray, split: str, count: int, seed: int = 0
) -> Iterator[Scene]:
    """Draw scenes: the same for the same seed, and the first of many are those of a few.

    A garment is shown again only when those of its kind are used up.

    Args:
        garments: uint8 (N, 28, 28).
        kinds: The kind of each, int64 (N,): 0 to 2, or -1 for none that is shown.
        split: "train" or "test": they are drawn apart.
        count: How many.
        seed: Of all that is drawn.
    """
    drawn_apart = list(SPLITS).index(split)
    rng = np.random.default_rng((seed, drawn_apart))
    unused = [_in_turn(rng.permutation(np.flatnonzero(kinds == k))) for k in range(len(KINDS))]
    for row, label in enumerate(rng.choice(len(JOINT), count, p=SHARES).tolist()):
        kind, orientation, size = JOINT[label]
        garment = garments[next(unused[list(KINDS).index(kind)])]
        of_row = np.random.default_rng((seed, drawn_apart, row + 1))  # a 0 last would not count
        least, most = SIZES[size]
        side = int(of_row.integers(least, most + 1))
        yield Scene(draw(garment, side, orientation == "turned", of_row), label, side)


def _in_turn(rows: np.ndarray) -> Iterator[int]:
    while True:
        yield from rows.tolist()


def _read_idx(path: Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def write_scenes(folder: Path, split: str, drawn: Sequence[Scene]) -> None:
    """Write scenes: PNG files in images/, labels.csv, and boxes.csv."""
    ids = ids_of(split, len(drawn))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name, scene in zip(ids, drawn, strict=True):
        Image.fromarray(scene.drawn.pixels).save(folder / "images" / f"{name}.png", optimize=True)
    labels = labels_of(drawn).assign(id=ids)
    write_csv(labels[["id", "label", "kind", "orientation", "size"]], folder / "labels.csv")
    boxes = pd.DataFrame([asdict(scene.drawn.box) for scene in drawn]).assign(id=ids)
    write_csv(boxes[["id", "left", "top", "right", "bottom"]], folder / "boxes.csv")


def labels_of(drawn: Sequence[Scene]) -> pd.DataFrame:
    """Return the columns label, kind, orientation and size of scenes; size is in pixels."""
    shown = pd.DataFrame(
        [JOINT[scene.label][:2] for scene in drawn], columns=["kind", "orientation"]
    )
    return shown.assign(label=[s.label for s in drawn], size=[s.size for s in drawn])


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, the same on every system."""
    frame.to_csv(path, index=False, lineterminator="\n")


def main() -> None:
    """Write scenes of a split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", choices=list(SPLITS))
    parser.add_argument("count", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    args = parser.parse_args()
    drawn = list(scenes(*read_garments(args.data, args.split), args.split, args.count))
    write_scenes(args.out, args.split, drawn)


if __name__ == "__main__":
    main()
