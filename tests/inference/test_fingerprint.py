"""The fingerprint: whatever decides a prediction changes the key; nothing else changes a byte."""

import io
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from PIL import Image
from toys import CLASSES, save_images, save_member, toy_card, toy_model

from ensemble.api import predict
from ensemble.boxes import Box, Crop
from ensemble.files.atomic import sha256_json
from ensemble.images.reading import hash_sources
from ensemble.images.sources import scan
from ensemble.inference import fingerprint as fingerprints
from ensemble.inference.fingerprint import ImageSet, image_set_of
from ensemble.members.card import Card
from ensemble.members.member import open_member, write_sidecar
from ensemble.predictions.store import key_of
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.records import DecodePolicy, Preprocess, Size
from ensemble.runtime.devices import CPU, CUDA
from ensemble.views import parse

FASHION = Path(__file__).parents[2] / "models_zoo" / "fashion"
IMAGES = 5

Change = Callable[[Path], dict[str, Any]]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(folder: Path, card: Card | None = None, **more: Any) -> None:
    """Write the member and the images of the table, or a variation of the member."""
    card = card or toy_card()
    save_member(folder / "folds", card, toy_model(card, **more))


def predicted(folder: Path, **more: Any) -> int:
    """Run, and return how many evaluations were not in the store."""
    settings = {"device": "cpu", "store": folder / "store", "force": True, "out": folder / "out"}
    result = predict.run(folder / "folds", folder / "images", **{**settings, **more})
    evaluations = result.record["evaluations"]
    assert isinstance(evaluations, int)
    return evaluations


def _weights(folder: Path) -> dict[str, Any]:
    path = folder / "folds" / "toy-f0.onnx"
    model = onnx.load(path)
    matrix = numpy_helper.to_array(model.graph.initializer[0]).copy()
    matrix.view(np.uint32)[0, 0] ^= 1
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    onnx.save(model, path)
    return {}


def _card(folder: Path, **about: Any) -> dict[str, Any]:
    card = toy_card()
    make(folder, replace(card, **about))
    return {}


def _pre(folder: Path, **about: Any) -> dict[str, Any]:
    return _card(folder, preprocess=replace(toy_card().preprocess, **about))


def _head(folder: Path, **about: Any) -> dict[str, Any]:
    return _card(folder, heads=(replace(toy_card().heads[0], **about),))


def _image(folder: Path) -> dict[str, Any]:
    """Change one pixel by one, in a file of the same size and time where that can be."""
    path = folder / "images" / "img2.png"
    pixels = np.array(Image.open(path))
    pixels[0, 0, 0] ^= 1
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    path.write_bytes(stream.getvalue())
    return {}


def _renamed(folder: Path) -> dict[str, Any]:
    (folder / "images" / "img2.png").rename(folder / "images" / "other.png")
    return {}


def _swapped(folder: Path) -> dict[str, Any]:
    first, second = (folder / "images" / f"img{n}.png" for n in (1, 2))
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    return {}


def _fewer(folder: Path) -> dict[str, Any]:
    (folder / "images" / "img2.png").unlink()
    return {}


CHANGES: dict[str, Change] = {
    "a bit of a weight": _weights,
    "the order of classes": lambda f: _head(f, classes=CLASSES[::-1]),
    "the name of a head": lambda f: _head(f, name="kind"),
    "the task": lambda f: _head(f, task="multilabel", activation="sigmoid"),
    "the fit": lambda f: _pre(f, fit="squash"),
    "the crop": lambda f: _pre(f, crop_pct=0.9),
    "the interpolation": lambda f: _pre(f, interpolation="bicubic"),
    "the mean": lambda f: _pre(f, mean=(0.4, 0.5, 0.5)),
    "the std": lambda f: _pre(f, std=(0.25, 0.25, 0.3)),
    "the order of channels": lambda f: _pre(f, channel_order="bgr"),
    "the batch": lambda f: _card(f, batch="alone"),
    "the family": lambda f: _card(f, family="other"),
    "the views": lambda _: {"tta": "hflip"},
    "the merge": lambda _: {"tta": "hflip", "merge": "max"},
    "the order of views": lambda _: {"tta": "vflip"},
    "the precision": lambda _: {"precision": "fp16"},
    "exif": lambda _: {"decode": DecodePolicy(exif="ignore")},
    "alpha": lambda _: {"decode": DecodePolicy(alpha="white")},
    "max_pixels": lambda _: {"decode": DecodePolicy(max_pixels=1000)},
    "allow_truncated": lambda _: {"decode": DecodePolicy(allow_truncated=True)},
    "a pixel of an image": _image,
    "the id of an image": _renamed,
    "which image has which id": _swapped,
    "an image less": _fewer,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_ingredient_never_uses_a_stale_prediction(tmp_path: Path, change: str) -> None:
    make(tmp_path)
    save_images(tmp_path / "images", IMAGES)
    assert predicted(tmp_path) == IMAGES
    assert predicted(tmp_path) == 0
    more = CHANGES[change](tmp_path)
    assert predicted(tmp_path, **more) == len(list((tmp_path / "images").iterdir()))


def test_external_data_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    save_images(tmp_path / "images", IMAGES)
    for seed in (0, 1):
        card = toy_card()
        model = toy_model(card, seed=seed)
        convert_model_to_external_data(model, location="w.data", size_threshold=0)
        (tmp_path / "folds").mkdir(exist_ok=True)
        (tmp_path / "folds" / "w.data").unlink(missing_ok=True)
        path = tmp_path / "folds" / "toy-f0.onnx"
        onnx.save(model, path)
        write_sidecar(path, card)
        assert predicted(tmp_path) == IMAGES
        assert predicted(tmp_path) == 0


def test_every_decode_option_is_in_the_table() -> None:
    assert {f.name for f in fields(DecodePolicy)} <= set(CHANGES)


def test_every_field_of_preprocessing_is_in_the_table() -> None:
    names = {"size", "fit", "crop_pct", "interpolation", "mean", "std", "channel_order", "crop"}
    assert {f.name for f in fields(Preprocess)} == names


def fingerprint(folder: Path, provider: str = CPU, image_hash: str = "set") -> dict[str, object]:
    recipe, images = resolve(Settings(members=(), images=())), ImageSet((), image_hash)
    member = open_member(folder / "folds" / "toy-f0.onnx")
    return fingerprints.fingerprint_of(recipe, member, parse.read_policy("none"), provider, images)


def test_the_size_of_the_input_changes_the_key(tmp_path: Path) -> None:
    make(tmp_path)
    first = key_of(fingerprint(tmp_path))
    make(tmp_path, toy_card(size=Size(10, 8)))
    assert key_of(fingerprint(tmp_path)) != first


def test_the_provider_changes_the_key(tmp_path: Path) -> None:
    make(tmp_path)
    assert key_of(fingerprint(tmp_path)) != key_of(fingerprint(tmp_path, CUDA))


def test_the_engine_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    first = key_of(fingerprint(tmp_path))
    monkeypatch.setattr(fingerprints, "ENGINE", fingerprints.ENGINE + 1)
    assert key_of(fingerprint(tmp_path)) != first


@pytest.mark.parametrize("field", ["engine", "member", "preprocess", "heads", "views", "merge",
                                   "decode", "precision", "provider", "images"])  # fmt: skip
def test_every_field_of_the_fingerprint_changes_the_key(tmp_path: Path, field: str) -> None:
    make(tmp_path)
    record = fingerprint(tmp_path)
    assert field in record
    assert key_of({**record, field: "another"}) != key_of(record)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A submission of the fashion zoo as it comes."""
    return fashion(tmp_path_factory.mktemp("fashion"))


def fashion(folder: Path, **more: Any) -> Path:
    """Run a fold of each family over the zoo's images, from an empty store."""
    result = predict.run(
        [FASHION / f"{family}-f0.onnx" for family in ("resnet", "vgg")],
        FASHION / "images",
        tta="hflip",
        output="probs",
        device="cpu",
        store=folder / "store",
        out=folder / "out",
        **more,
    )
    assert result.record["evaluations"] == 400
    return folder / "out" / "submission.csv"


@pytest.mark.parametrize(
    "more",
    [{"batch_size": 1}, {"batch_size": 7}, {"threads": 1}, {"shard_size": 33}],
    ids=lambda more: "-".join(f"{k}={v}" for k, v in more.items()),
)
def test_how_a_run_is_cut_changes_no_byte_of_the_fashion_submission(
    whole: Path, tmp_path: Path, more: dict[str, int]
) -> None:
    assert fashion(tmp_path, **more).read_bytes() == whole.read_bytes()


def test_a_box_is_part_of_the_image_set_and_none_leaves_it_as_it_was(tmp_path: Path) -> None:
    found = hash_sources(scan([save_images(tmp_path / "images", 2)]).images, 1)
    told = [[image.source.id, image.bytes, image.sha256] for image in found]
    assert image_set_of(found).sha256 == sha256_json(told)
    boxed = [replace(image, box=Box(0, 0, 5, 5)) for image in found]
    other = [boxed[0], replace(found[1], box=Box(0, 0, 5, 5.5))]
    keys = {image_set_of(images).sha256 for images in (found, boxed, other)}
    assert len(keys) == 3


def test_a_crop_is_part_of_the_fingerprint_and_none_leaves_it_as_it_was(tmp_path: Path) -> None:
    make(tmp_path)
    plain = fingerprint(tmp_path)
    assert "crop" not in str(plain["preprocess"]).replace("crop_pct", "").replace("'crop',", "")
    keys = {key_of(plain)}
    for crop in (Crop(0.1, square=False), Crop(0.2, square=False), Crop(0.1, square=True)):
        card = toy_card()
        make(tmp_path, replace(card, preprocess=replace(card.preprocess, crop=crop)))
        keys.add(key_of(fingerprint(tmp_path) | {"member": plain["member"]}))
    assert len(keys) == 4
