"""Build what the fashion zoo ships from its checkpoints.

    python models_zoo/fashion/build.py

Writes beside this file, in the order of the functions below: the members that are not there yet,
each proven against torch; the out-of-fold and test predictions, by torch and without views; train
and test images, with their labels and a sample submission.
"""

import argparse
import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from data import CLASSES, DATA, FOLDS, MEAN, STD, fold_of_rows, ids_of, read_split
from families import FAMILIES, Family, checkpoint_of, load_net, pixels, predict
from PIL import Image

import ensemble
from ensemble.members.member import open_member
from ensemble.predictions import table as oof
from ensemble.predictions.oof_file import write

HERE = Path(__file__).parent
SHIPPED = {name: family for name, family in FAMILIES.items() if family.shipped}
MORE = {name: family for name, family in FAMILIES.items() if not family.shipped}
TEST_IMAGES = 200
TRAIN_IMAGES = 20
"""So many images of each fold are shipped, for a test of the out-of-fold predictions."""


def export_members() -> None:
    """Export the checkpoints that have no member yet."""
    label = ensemble.HeadSpec("label", CLASSES)
    for name, family in FAMILIES.items():
        out = Path("." if family.shipped else "work/members")
        flags = ensemble.PreprocessFlags(
            height=family.size,
            width=family.size,
            interpolation="bicubic",
            mean=(MEAN,),
            std=(STD,),
        )
        arch = f"nets:{family.factory.__name__}"
        spec = ensemble.ExportSpec(arch, (label,), preprocess=flags, in_chans=1)
        folds = [fold for fold in range(FOLDS) if not (out / f"{name}-f{fold}.onnx").exists()]
        for member in ensemble.export_members([checkpoint_of(name, f) for f in folds], spec, out):
            print(f"{member.path}: differs from torch by at most {member.max_abs_diff:.1e}")


def write_oof(data: Path) -> None:
    """Predict each training image by the fold that did not see it, as float16."""
    images, labels = read_split(data, "train")
    folds = fold_of_rows(labels)
    ids = ids_of("train", len(images))
    for target, families in (("oof.parquet", SHIPPED), ("oof_more.parquet", MORE)):
        probs = {name: predict_folds(name, f, images, folds) for name, f in families.items()}
        hashes = {
            name: tuple(open_member(Path(f"{name}-f{f}.onnx")).sha256 for f in range(FOLDS))
            for name, family in families.items()
            if family.shipped
        }
        write_half(Path(target), oof.Oof(tuple(ids), CLASSES, probs, folds, hashes))
        for name, values in probs.items():
            print(f"{name}: OOF accuracy {(values.argmax(1) == labels).mean():.4f}")
    frame = pd.DataFrame({"id": ids, "label": np.array(CLASSES)[labels], "fold": folds})
    frame.to_csv("train.csv", index=False, lineterminator="\n")
    few = np.sort(np.concatenate([np.flatnonzero(folds == f)[:TRAIN_IMAGES] for f in range(FOLDS)]))
    write_images(Path("train"), images[few], [ids[row] for row in few])
    frame.iloc[few].to_csv("train_few.csv", index=False, lineterminator="\n")


def predict_folds(name: str, family: Family, images: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return float64 (N, 10): each row by the fold that held it out."""
    inputs = pixels(images, family.size)
    probs = np.empty((len(images), len(CLASSES)))
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        probs[rows] = predict(load_net(name, fold), inputs[torch.from_numpy(rows)])
    return probs


def write_test(data: Path) -> None:
    """Predict the test images by the mean of each family's folds; write the first images."""
    images, labels = read_split(data, "t10k")
    ids = ids_of("test", len(images))
    probs = {}
    for name, family in FAMILIES.items():
        inputs = pixels(images, family.size)
        probs[name] = np.mean([predict(load_net(name, f), inputs) for f in range(FOLDS)], axis=0)
        print(f"{name}: test accuracy {(probs[name].argmax(1) == labels).mean():.4f}")
    write_half(Path("test_predictions.parquet"), oof.Oof(tuple(ids), CLASSES, probs))
    frame = pd.DataFrame({"id": ids, "label": np.array(CLASSES)[labels]})
    frame.to_csv("test_labels.csv", index=False, lineterminator="\n")
    write_images(Path("images"), images[:TEST_IMAGES], ids[:TEST_IMAGES])
    shown = frame[:TEST_IMAGES]
    shown.to_csv("labels.csv", index=False, lineterminator="\n")
    shown.assign(label=CLASSES[0]).to_csv("sample_submission.csv", index=False, lineterminator="\n")


def write_half(path: Path, predictions: oof.Oof) -> None:
    """Write an OOF file with float16 lists: half the size, and three digits are enough."""
    write(path, predictions)
    table = pq.read_table(path)
    for name in predictions.families:
        half = pa.list_(pa.float16(), len(CLASSES))
        values = predictions.families[name].astype(np.float16).ravel()
        lists = pa.FixedSizeListArray.from_arrays(pa.array(values), type=half)
        table = table.set_column(table.column_names.index(name), name, lists)
    pq.write_table(table, path, compression="zstd", compression_level=19)


def write_images(folder: Path, images: np.ndarray, ids: list[str]) -> None:
    """Write PNG files."""
    folder.mkdir(exist_ok=True)
    for name, image in zip(ids, images, strict=True):
        Image.fromarray(image).save(folder / f"{name}.png", optimize=True)


def main() -> None:
    """Build everything; the checkpoints must be there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data.resolve()
    with contextlib.chdir(HERE):
        export_members()
        write_oof(data)
        write_test(data)


if __name__ == "__main__":
    main()
