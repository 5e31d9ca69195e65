"""Build what the garments zoo ships from its checkpoints.

    python models_zoo/garments/build.py

Writes beside this file, in the order of the functions below: the members that are not there yet,
each proven against torch; the map of joint labels; the out-of-fold predictions, by `ensemble oof`;
the first test scenes, with what they show, their boxes and a sample submission.
"""

import argparse
import contextlib
import shutil
from pathlib import Path

import pandas as pd
from data import (
    DATA,
    JOINT,
    SHIPPED,
    TRAIN,
    ids_of,
    read_garments,
    scenes,
    write_csv,
    write_scenes,
)
from draw import SIDE
from families import FAMILIES, FOLDS, MEAN, STD, checkpoint_of, member_of

import ensemble

HERE = Path(__file__).parent


def export_members() -> None:
    """Export the checkpoints that have no member yet."""
    flags = ensemble.PreprocessFlags(height=SIDE, width=SIDE, mean=(MEAN,), std=(STD,))
    for name, family in FAMILIES.items():
        arch = f"nets:{family.factory.__name__}"
        spec = ensemble.ExportSpec(arch, family.heads, preprocess=flags, in_chans=1)
        folds = [fold for fold in range(FOLDS) if not member_of(name, fold).exists()]
        checkpoints = [checkpoint_of(name, fold) for fold in folds]
        for member in ensemble.export_members(checkpoints, spec, "members") if folds else ():
            print(f"{member.path}: differs from torch by at most {member.max_abs_diff:.1e}")


def write_label_map() -> None:
    """Write what each joint label says, a row a label."""
    rows = [(number, *parts) for number, parts in enumerate(JOINT)]
    frame = pd.DataFrame(rows, columns=["label", "kind", "orientation", "size"])
    write_csv(frame, Path("label_map.csv"))


def write_oof(data: Path) -> None:
    """Predict each training scene by the fold that did not see it, without views."""
    folder = Path("work/train")
    if len(list(folder.glob("images/*.png"))) < TRAIN:
        write_scenes(folder, "train", list(scenes(*read_garments(data, "train"), "train", TRAIN)))
    members = [member_of(name, fold) for name in FAMILIES for fold in range(FOLDS)]
    ensemble.predict_oof(
        members,
        folder / "images",
        "folds.csv",
        out="oof.parquet",
        label_map="label_map.csv",
        store="work/store",
    )


def write_test(data: Path) -> None:
    """Write the test scenes that are shipped."""
    few = Path("work/few")
    write_scenes(few, "test", list(scenes(*read_garments(data, "test"), "test", SHIPPED)))
    shutil.copytree(few / "images", "images", dirs_exist_ok=True)
    shutil.copy(few / "labels.csv", "test_labels.csv")
    shutil.copy(few / "boxes.csv", "test_boxes.csv")
    write_csv(
        pd.DataFrame({"id": ids_of("test", SHIPPED), "label": 0}), Path("sample_submission.csv")
    )


def main() -> None:
    """Build everything; the checkpoints, or the members, must be there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data.resolve()
    with contextlib.chdir(HERE):
        export_members()
        write_label_map()
        write_oof(data)
        write_test(data)


if __name__ == "__main__":
    main()
