"""The real zoos: a run gives what torch, timm's transform and ttach's wrapper give."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import timm
import torch
import ttach
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from timm.data import create_transform
from torch import nn
from toys import ensemble as command

import ensemble
from ensemble.evaluation.folds import folds_from
from ensemble.evaluation.labels import truth_of
from ensemble.files.csv_tables import column_of
from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.members.card import Card
from ensemble.members.member import open_member
from ensemble.predictions.formats import read
from ensemble.records import Preprocess
from ensemble.views import parse

ZOO = Path(__file__).parents[2] / "models_zoo"
FASHION = ZOO / "fashion"
IMAGENET = ZOO / "imagenet_lite"

Build = Callable[[Card], nn.Module]


def fashion_net(card: Card) -> nn.Module:
    """The net of a fashion member, from the checkpoint that it was exported from."""
    spec = importlib.util.spec_from_file_location("fashion_nets", FASHION / "nets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net: nn.Module = getattr(module, card.arch.rpartition(":")[2])(10)
    net.load_state_dict(load_file(FASHION / "checkpoints" / f"{card.name}.safetensors"))
    return net


def imagenet_net(card: Card) -> nn.Module:
    net: nn.Module = timm.create_model(card.arch)
    net.load_state_dict(load_file(IMAGENET / "work" / f"{card.name}.safetensors"))
    return net


def transformed(images: Sequence[Path], pre: Preprocess) -> torch.Tensor:
    """The pixels that timm's transform makes of images."""
    transform = create_transform(
        (len(pre.mean), pre.size.height, pre.size.width),
        interpolation=pre.interpolation,
        crop_pct=pre.crop_pct,
        mean=pre.mean,
        std=pre.std,
    )
    mode = "L" if len(pre.mean) == 1 else "RGB"
    return torch.stack([transform(Image.open(path).convert(mode)) for path in images])


def usual_way(
    members: Sequence[Path], images: Sequence[Path], build: Build, views: ttach.Compose
) -> NDArray[np.float64]:
    """One pass a member: timm's transform, ttach's wrapper; folds averaged, then families."""
    families: dict[str, list[NDArray[np.float64]]] = {}
    batches: dict[Preprocess, torch.Tensor] = {}
    for card in (open_member(path).card for path in members):
        if card.preprocess not in batches:
            batches[card.preprocess] = transformed(images, card.preprocess)
        batch = batches[card.preprocess]
        net = nn.Sequential(build(card), nn.Softmax(1)).eval()
        wrapped = ttach.ClassificationTTAWrapper(net, views, merge_mode="mean")
        with torch.inference_mode():
            probs = wrapped(batch).double().numpy()
        families.setdefault(card.family, []).append(probs)
    return np.mean([np.mean(folds, axis=0) for folds in families.values()], axis=0)


def predictions(folder: Path) -> tuple[list[str], NDArray[np.float64]]:
    """The ids and fused probabilities that a run published."""
    table = pq.read_table(folder / "predictions.parquet")
    return table["id"].to_pylist(), np.array(table["probs"].to_pylist())


@pytest.fixture(scope="module")
def fashion_members() -> list[Path]:
    return sorted(FASHION.glob("*.onnx"))


@pytest.fixture(scope="module")
def fashion_run(
    fashion_members: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Mapping[str, str]]:
    """`ensemble run --members models_zoo/fashion/*.onnx --tta flip`: its folder and labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fashion"))
        images = ["--images", FASHION / "images"]
        assert command("run", "--members", *fashion_members, "--tta", "flip", *images,
                       "--out", "out") == 0  # fmt: skip
        return Path("out").absolute(), labels_of(Path("out/submission.csv"))


def labels_of(submission: Path) -> dict[str, str]:
    return dict(line.split(",") for line in submission.read_text().splitlines()[1:])


def test_a_fashion_run_equals_torch_timm_and_ttach(
    fashion_members: list[Path], fashion_run: tuple[Path, Mapping[str, str]]
) -> None:
    folder, labels = fashion_run
    ids, probs = predictions(folder)
    assert len(ids) == 200
    ids, probs = ids[::4], probs[::4]  # torch takes a second for ten
    images = [FASHION / "images" / f"{name}.png" for name in ids]
    expected = usual_way(fashion_members, images, fashion_net, ttach.aliases.flip_transform())
    classes = open_member(fashion_members[0]).card.heads[0].classes
    np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-5)
    assert [labels[i] for i in ids] == [classes[c] for c in expected.argmax(1)]


def check_batches(path: Path, tta: str, count: int) -> None:
    """Check that no batch that an image lies in changes a bit of its score."""
    member = open_member(path)
    ready = start.start(
        member, parse.read_policy(tta), "mean", device="cpu", threads=1, batch=1
    )  # fmt: skip
    pre = member.card.preprocess
    images = probe_images((count, pre.size.height, pre.size.width, len(pre.mean)))

    def scores(batch: int) -> NDArray[np.float32]:
        parts = [images[at : at + batch] for at in range(0, count, batch)]
        return np.concatenate([ready.scorer.score(part)["label"] for part in parts])

    alone = scores(1)
    for batch in (2, 3, 7, count):
        np.testing.assert_array_equal(scores(batch), alone)


@pytest.mark.parametrize("family", ["resnet", "vgg"])
@pytest.mark.parametrize("tta", ["none", "flip"])
def test_the_batch_of_an_image_changes_no_bit_of_its_score(family: str, tta: str) -> None:
    check_batches(FASHION / f"{family}-f0.onnx", tta, 32)


def test_a_recipe_file_alone_gives_the_same_submission(
    fashion_run: tuple[Path, Mapping[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {
        "members": [str(FASHION / "*.onnx")],
        "images": str(FASHION / "images"),
        "tta": "flip",
        "store": str(fashion_run[0].parent / ".ensemble"),
        "out": "out",
    }
    text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in recipe.items())
    (tmp_path / "ensemble.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert command("run") == 0
    first = (fashion_run[0] / "submission.csv").read_bytes()
    assert Path("out/submission.csv").read_bytes() == first


@pytest.mark.parametrize(("file", "accuracy"), [("oof", (0.91, 0.93)), ("oof_more", (0.88, 0.92))])
def test_the_shipped_oof_has_the_accuracy_of_nets_that_did_not_see_the_row(
    file: str, accuracy: tuple[float, float]
) -> None:
    found = read(FASHION / f"{file}.parquet")
    labels = column_of(FASHION / "train.csv", "label")
    truth = truth_of(found.ids, labels, found.classes)
    np.testing.assert_array_equal(found.folds, folds_from(FASHION / "train.csv", found.ids))
    assert len(found.ids) == len(labels) == 60_000
    for probs in found.families.values():
        # a net that had seen its rows would be right about 95 of 100
        assert accuracy[0] < np.mean(probs.argmax(1) == truth) < accuracy[1]


def test_oof_over_the_fashion_members_gives_the_shipped_oof(
    fashion_members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = ["--members", *fashion_members, "--images", FASHION / "train"]
    assert command("oof", *inputs, "--folds", FASHION / "train_few.csv") == 0
    found, shipped = read(Path("oof.parquet")), read(FASHION / "oof.parquet")
    place = {name: row for row, name in enumerate(shipped.ids)}
    rows = [place[name] for name in found.ids]
    assert len(rows) == 100
    assert found.members == shipped.members
    for family, probs in found.families.items():
        np.testing.assert_allclose(probs, shipped.families[family][rows], atol=1e-3)


@pytest.fixture(scope="module")
def imagenet_members() -> list[Path]:
    subprocess.run([sys.executable, IMAGENET / "build.py"], check=True)
    return sorted((IMAGENET / "work" / "members").glob("*.onnx"))


@pytest.mark.slow
def test_the_batch_of_an_imagenet_image_changes_no_bit_of_its_score(
    imagenet_members: list[Path],
) -> None:
    for member in imagenet_members:
        check_batches(member, "hflip", 8)


@pytest.mark.slow
def test_an_imagenet_run_equals_torch_timm_and_ttach(
    imagenet_members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = ensemble.run(imagenet_members, IMAGENET / "work" / "photographs", tta="flip")
    images = [IMAGENET / "work" / "photographs" / f"{name}.jpg" for name in result.ids]
    expected = usual_way(imagenet_members, images, imagenet_net, ttach.aliases.flip_transform())
    np.testing.assert_allclose(result.probs, expected, rtol=0, atol=1e-5)
    assert [result.classes.index(label) for label in result.labels] == list(expected.argmax(1))
    assert len(imagenet_members) == 3
