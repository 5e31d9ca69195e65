"""Measure the fashion zoo on all 10 000 test images, and print the table of its README.

    python models_zoo/fashion/measure.py

Predictions are kept in work/, so a second call only votes.
"""

import argparse
import contextlib
from pathlib import Path

import numpy as np
from data import CLASSES, DATA, FOLDS, ids_of, read_split
from PIL import Image

import ensemble

HERE = Path(__file__).parent
FAMILIES = ("resnet", "vgg")
VIEWS = ("none", "hflip", "flip")


def write_images(folder: Path, images: np.ndarray, ids: list[str]) -> None:
    """Write the test images as PNG, those that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(ids, images, strict=True):
        path = folder / f"{name}.png"
        if not path.exists():
            Image.fromarray(image).save(path)


def accuracy(members: list[str], tta: str, truth: dict[str, str]) -> float:
    """Run members over the test images; return the share of right labels in percent."""
    result = ensemble.run(
        members, "work/test", tta=tta, out="work/measured", store="work/store", force=True
    )
    right = [truth[i] == label for i, label in zip(result.ids, result.labels, strict=True)]
    return 100 * sum(right) / len(truth)


def main() -> None:
    """Print a row a blend, a column a view policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data.resolve()
    with contextlib.chdir(HERE):
        images, labels = read_split(data, "t10k")
        ids = ids_of("test", len(images))
        truth = dict(zip(ids, np.array(CLASSES)[labels].tolist(), strict=True))
        write_images(Path("work/test"), images, ids)
        folds = {f: [f"{f}-f{fold}.onnx" for fold in range(FOLDS)] for f in FAMILIES}
        print(f"| blend | {' | '.join(f'`--tta {view}`' for view in VIEWS)} |")
        print("|---" * (len(VIEWS) + 1) + "|")
        for family, members in folds.items():
            single = [[accuracy([m], view, truth) for m in members] for view in VIEWS]
            cells = [f"{np.mean(s):.2f} ({min(s):.2f} to {max(s):.2f})" for s in single]
            print(f"| {family}, one fold: mean (least to most) | {' | '.join(cells)} |")
            cells = [f"{accuracy(members, view, truth):.2f}" for view in VIEWS]
            print(f"| {family}, {FOLDS} folds averaged | {' | '.join(cells)} |")
        every = [member for members in folds.values() for member in members]
        cells = [f"{accuracy(every, view, truth):.2f}" for view in VIEWS]
        print(f"| both families blended | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
