"""Checkpoints of one run become one member, and weights that do not average are found out."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from fake_workers import Told
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from toys import save_images

from ensemble.errors import MemberError, UsageError
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags
from ensemble.export.to_onnx import Exported
from ensemble.images.reading import hash_sources
from ensemble.images.sources import scan
from ensemble.members.member import open_member
from ensemble.pipeline import soup as module
from ensemble.pipeline.calibration_images import divide
from ensemble.pipeline.soup import export_soup
from ensemble.pipeline.soup_order import SoupOrder
from ensemble.progress import Quiet
from ensemble.runtime.session import run_once

FACTORIES = "factories_of_the_soup_tests"
TEXT = """
from torch import nn


def small(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, num_classes),
    )
"""
CLASSES = ("cat", "dog", "eel")
IMAGES = 64
PIXELS = PreprocessFlags(
    height=16, width=16, fit="squash", crop_pct=1.0, mean=(0.5,) * 3, std=(0.25,) * 3
)
SPEC = ExportSpec(f"{FACTORIES}:small", (HeadSpec("label", CLASSES),), preprocess=PIXELS)


@dataclass(frozen=True, slots=True)
class Made:
    """A soup, and what was said while it was made."""

    exported: Exported
    warnings: list[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with the factory, images of 16x16, and checkpoints a, b and turned.

    `b` is near to `a`, as after another epoch; `turned` is `a` with its channels in another order,
    which gives the same answers by other weights.
    """
    folder = tmp_path_factory.mktemp("soup")
    (folder / f"{FACTORIES}.py").write_text(TEXT)
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(IMAGES):
        colours = rng.integers(0, 256, (1, 1, 3)) + rng.normal(0, 30, (16, 16, 3))
        pixels = np.clip(colours, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"img{number}.png")
    state = trained(folder).state_dict()
    step = {k: v + 0.02 * torch.randn_like(v) if v.is_floating_point() else v
            for k, v in state.items() if "running" not in k}  # fmt: skip
    write(folder / "a" / "small-f1.safetensors", state)
    write(folder / "b" / "small-f1.safetensors", state | step)
    order = torch.arange(5, -1, -1)
    turned = {k: v[order] if k[0] in "01" and v.dim() else v for k, v in state.items()}
    turned["5.weight"] = state["5.weight"][:, order]
    write(folder / "turned" / "small-f2.safetensors", turned)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder
    sys.modules.pop(FACTORIES, None)


def net_of(state: dict[str, Tensor]) -> nn.Module:
    """The factory's net: of weights by chance, or of a state."""
    names: dict[str, object] = {}
    exec(TEXT, names)
    torch.manual_seed(3)
    net = names["small"](3).eval()  # type: ignore[operator]
    if state:
        net.load_state_dict(state)
    else:
        net[5].weight.data *= 4
    assert isinstance(net, nn.Module)
    return net


def trained(folder: Path) -> nn.Module:
    """The net by chance, with batch norms that have seen the images."""
    net, (images, _) = net_of({}), inputs(folder)
    net[1].momentum = None  # type: ignore[index]
    with torch.no_grad():
        net.train()(torch.from_numpy(images))
    return net


def write(path: Path, state: dict[str, Tensor]) -> None:
    path.parent.mkdir(exist_ok=True)
    safetensors.torch.save_file(state, path)


def order_of(folder: Path, *names: str, **about: object) -> SoupOrder:
    checkpoints = [next((folder / name).iterdir()) for name in names]
    order = SoupOrder(tuple(checkpoints), SPEC, (str(folder / "images"),))
    return replace(order, **about)  # type: ignore[arg-type]


def make(order: SoupOrder, out: Path) -> Made:
    told = Told()
    return Made(export_soup(order, out, told), told.said)


@pytest.fixture(scope="module")
def near(folder: Path) -> Made:
    """A soup of one run, with labels: those that a gives."""
    images, names = inputs(folder)
    with torch.no_grad():
        right = loaded(folder, "a")(torch.from_numpy(images)).argmax(1).tolist()
    rows = [f"{name},{CLASSES[label]}" for name, label in zip(names, right, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["id,label", *rows]))
    return make(order_of(folder, "a", "b", labels=folder / "labels.csv"), folder / "near")


def loaded(folder: Path, name: str) -> nn.Module:
    (path,) = (folder / name).iterdir()
    return net_of(safetensors.torch.load_file(path))


def inputs(folder: Path, names: list[str] | None = None) -> tuple[NDArray[np.float32], list[str]]:
    """The images by id, normalised; they have the size of the net's input already."""
    names = names or [f"img{number}" for number in range(IMAGES)]
    pixels = np.stack([np.asarray(Image.open(folder / "images" / f"{name}.png")) for name in names])
    values = (pixels.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25
    return values.astype(np.float32), names


def divided(folder: Path) -> tuple[list[str], list[str]]:
    images = hash_sources(scan([folder / "images"]).images, 1)
    calibrating, judging = divide(images, module.CALIBRATING)
    return [image.source.id for image in calibrating], [image.source.id for image in judging]


def expected(folder: Path) -> nn.Module:
    """The mean of a and b by numpy, its batch norm that of the images that calibrate."""
    states = [loaded(folder, name).state_dict() for name in ("a", "b")]
    mean = {k: torch.tensor(np.mean([s[k].numpy() for s in states], axis=0)) for k in states[0]}
    net = net_of(mean)
    images, _ = inputs(folder, divided(folder)[0])
    with torch.no_grad():
        seen = net[0](torch.from_numpy(images)).numpy()  # type: ignore[index]
    net[1].running_mean = torch.from_numpy(seen.mean((0, 2, 3)))  # type: ignore[index]
    net[1].running_var = torch.from_numpy(seen.var((0, 2, 3), ddof=1))  # type: ignore[index]
    return net


def test_the_member_is_the_mean_of_the_weights_with_batch_norms_of_the_images(
    near: Made, folder: Path
) -> None:
    images, _ = inputs(folder)
    with torch.no_grad():
        right = expected(folder)(torch.from_numpy(images)).numpy()
    found = run_once(near.exported.path.read_bytes(), {"image": images})
    np.testing.assert_allclose(found["label"], right, rtol=0, atol=1e-3)


def test_a_soup_of_one_run_is_a_member_of_its_fold(near: Made, folder: Path) -> None:
    assert near.exported.path == folder / "near" / "small-soup-f1.onnx"
    card = open_member(near.exported.path).card
    assert (card.family, card.fold) == ("small-soup", 1)
    assert not any("fold" in note for note in near.exported.notes)


def test_the_card_says_of_what_it_is_and_how_it_was_judged(near: Made) -> None:
    source = open_member(near.exported.path).card.source
    assert source["soup"] == 2
    assert str(source["soup:1"]).startswith("small-f1.safetensors ")
    assert (source["recalibrated_on"], source["judged_on"]) == (IMAGES // 2, IMAGES // 2)
    assert float(source["vote_agreement:label"]) >= 0.75
    assert "accuracy:label" in source


def test_scores_are_of_the_images_that_do_not_calibrate(near: Made, folder: Path) -> None:
    images, names = inputs(folder, divided(folder)[1])
    nets = [expected(folder), loaded(folder, "a"), loaded(folder, "b")]
    with torch.no_grad():
        soup, a, b = (net(torch.from_numpy(images)).softmax(1).double().numpy() for net in nets)
    right = a.argmax(1)
    scores = [float((p.argmax(1) == right).mean()) for p in (soup, (a + b) / 2, b)]
    (note,) = near.exported.notes
    assert note.startswith(f"label: on {len(names)} images the soup and its parts' vote differ in ")
    assert note.endswith("accuracy {:.4f} of the soup, {:.4f} of the vote, 1.0000, {:.4f} of its "
                         "parts".format(*scores))  # fmt: skip


def test_few_images_that_recalibrate_are_told(near: Made) -> None:
    assert near.warnings[0] == "32 images recalibrate the batch norms: give some hundreds more"
    assert not any("average" in warning for warning in near.warnings)


def test_equal_answers_by_other_weights_do_not_average_and_it_warns(folder: Path) -> None:
    made = make(order_of(folder, "a", "turned"), folder / "turned-soup")
    (warning,) = (w for w in made.warnings if "average" in w)
    assert "two parts in 0.00% of labels at most: weights of nets that were begun apart" in warning
    assert made.exported.path.name == "small-soup.onnx"
    assert made.exported.notes[-1].startswith("it has no fold, so it has no out-of-fold")


def refused(folder: Path, out: Path, error: type[Exception], match: str, **about: object) -> None:
    with pytest.raises(error, match=match):
        export_soup(order_of(folder, "a", "b", **about), out, Quiet())
    assert not out.exists()


def test_an_image_without_a_label_is_refused(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\nimg0,cat\n")
    refused(folder, tmp_path / "out", UsageError, "img", labels=labels)


def test_images_of_which_none_can_be_used_are_refused(folder: Path, tmp_path: Path) -> None:
    images = save_images(tmp_path / "images", 4)
    for path in images.iterdir():
        path.write_bytes(path.read_bytes()[:60])
    match = "none of the images can be used"
    refused(folder, tmp_path / "out", UsageError, match, images=(str(images),))


def test_a_checkpoint_that_does_not_fit_is_named(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "c" / "small-f1.safetensors", {"odd": torch.zeros(2)})
    paths = (folder / "a" / "small-f1.safetensors", tmp_path / "c" / "small-f1.safetensors")
    refused(folder, tmp_path / "out", MemberError, r"c/small-f1", checkpoints=paths)


def test_a_member_that_is_there_stays(near: Made, folder: Path) -> None:
    before = near.exported.path.read_bytes()
    with pytest.raises(UsageError, match="small-soup-f1.onnx: there already; say --force"):
        export_soup(order_of(folder, "a", "b"), folder / "near", Quiet())
    assert near.exported.path.read_bytes() == before


@pytest.mark.usefixtures("folder")
def test_names_and_order_of_images_and_checkpoints_change_nothing(
    near: Made, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    for number, path in enumerate(sorted((folder / "images").iterdir(), reverse=True)):
        shutil.copy(path, tmp_path / "images" / f"other{number}.png")
    order = order_of(folder, "b", "a", images=(str(tmp_path / "images"),))
    made = make(order, tmp_path / "out").exported
    before = {k: v for k, v in near.exported.card.source.items() if not k.startswith("accuracy")}
    assert made.card.source == before
    images, _ = inputs(folder)
    one, other = (run_once(m.path.read_bytes(), {"image": images}) for m in (near.exported, made))
    np.testing.assert_array_equal(one["label"], other["label"])
