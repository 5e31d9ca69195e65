"""Build what the fashion zoo ships from its checkpoints.

    python models_zoo/fashion/build.py

Writes beside this file: the members, each proven against torch; oof.parquet, where each training
image is predicted by the fold that did not see it; train.csv with their labels and folds; and 200
test images with labels.csv and sample_submission.csv.
"""

import argparse
import contextlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from data import CLASSES, DATA, FOLDS, MEAN, STD, fold_of_rows, ids_of, read_split
from families import FAMILIES, pixels, predict
from PIL import Image
from safetensors.torch import load_file

import ensemble

HERE = Path(__file__).parent
SHIPPED = 200


def export_members() -> dict[str, list[str]]:
    """Export every checkpoint; return each family's SHA-256 of its checkpoints, by fold."""
    label = ensemble.HeadSpec("label", CLASSES)
    hashes = {}
    for name, family in FAMILIES.items():
        flags = ensemble.PreprocessFlags(
            height=family.size,
            width=family.size,
            interpolation="bicubic",
            mean=(MEAN,),
            std=(STD,),
        )
        arch = f"nets:{family.factory.__name__}"
        spec = ensemble.ExportSpec(arch, (label,), preprocess=flags, in_chans=1)
        checkpoints = [Path("checkpoints") / f"{name}-f{fold}.safetensors" for fold in range(FOLDS)]
        exported = ensemble.export_members(checkpoints, spec, ".")
        hashes[name] = [str(member.card.source["checkpoint_sha256"]) for member in exported]
        for member in exported:
            print(f"{member.path}: differs from torch by at most {member.max_abs_diff:.1e}")
    return hashes


def write_oof(data: Path, hashes: dict[str, list[str]]) -> None:
    """Predict each training image with the fold that did not see it, by torch, as float16."""
    images, labels = read_split(data, "train")
    folds = fold_of_rows(labels)
    ids = ids_of("train", len(images))
    columns = {"id": pa.array(ids), "fold": pa.array(folds.astype(np.int8))}
    for name, family in FAMILIES.items():
        probs = np.empty((len(images), len(CLASSES)), np.float16)
        inputs = pixels(images, family.size)
        for fold in range(FOLDS):
            net = family.factory(len(CLASSES))
            net.load_state_dict(load_file(Path("checkpoints") / f"{name}-f{fold}.safetensors"))
            rows = np.flatnonzero(folds == fold)
            probs[rows] = predict(net, inputs[torch.from_numpy(rows)])
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(probs.ravel()), len(CLASSES))
        accuracy = (probs.argmax(1) == labels).mean()
        print(f"{name}: OOF accuracy {accuracy:.4f} over {len(images)} images")
    about = {"schema": 1, "head": "label", "task": "classification", "classes": CLASSES}
    metadata = {"ensemble.oof": json.dumps({**about, "checkpoints": hashes})}
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, "oof.parquet", compression="zstd", compression_level=19)
    frame = pd.DataFrame({"id": ids, "label": np.array(CLASSES)[labels], "fold": folds})
    frame.to_csv("train.csv", index=False, lineterminator="\n")


def write_test_images(data: Path) -> None:
    """Write the first test images as PNG, their labels, and a submission to fill in."""
    images, labels = read_split(data, "t10k")
    ids = ids_of("test", len(images))[:SHIPPED]
    Path("images").mkdir(exist_ok=True)
    for name, image in zip(ids, images, strict=False):
        Image.fromarray(image).save(f"images/{name}.png", optimize=True)
    frame = pd.DataFrame({"id": ids, "label": np.array(CLASSES)[labels[:SHIPPED]]})
    frame.to_csv("labels.csv", index=False, lineterminator="\n")
    frame.assign(label=CLASSES[0]).to_csv("sample_submission.csv", index=False, lineterminator="\n")


def main() -> None:
    """Build everything; the checkpoints must be there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data.resolve()
    with contextlib.chdir(HERE):
        write_oof(data, export_members())
        write_test_images(data)


if __name__ == "__main__":
    main()
