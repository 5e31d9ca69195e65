"""What computes otherwise is held against float32 on images of the run: noise shows nothing."""

from pathlib import Path

import numpy as np
import pytest
from fake_workers import Told
from onnx import helper, numpy_helper
from PIL import Image
from toys import ensemble, save_images, save_member, toy_card, toy_model

from ensemble.arrays import Pixels
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import scan
from ensemble.inference import held_images
from ensemble.inference.held_images import hold_on_images, in_words
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import start
from ensemble.members.member import open_member
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Merge, Precision
from ensemble.runtime.agreement import FLOAT16, Agreement, How
from ensemble.views import policy


def dazzled(folder: Path, *, batch: int | str = "N") -> Path:
    """A member that float16 changes for white images, and for no image of noise.

    It adds to each class a slope times what the sum of an image has over 300, and a white one has
    384: slopes of 300.1 and 300 are one number in float16.
    """
    card = toy_card()
    model = toy_model(card, batch=batch)
    model.graph.node[-1].output[0] = "raw"
    numbers = {"axis": np.array([1]), "high": np.float32(300),
               "slope": np.array([300.1, 300, 300], np.float32)}  # fmt: skip
    for name, value in numbers.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    model.graph.node.extend([
        helper.make_node("ReduceSum", ["flat", "axis"], ["sum"], keepdims=1),
        helper.make_node("Sub", ["sum", "high"], ["over"]),
        helper.make_node("Relu", ["over"], ["bright"]),
        helper.make_node("Mul", ["bright", "slope"], ["more"]),
        helper.make_node("Add", ["raw", "more"], ["logits"]),
    ])  # fmt: skip
    return save_member(folder, card, model)


def white(folder: Path, name: str) -> None:
    Image.new("RGB", (9, 9), "white").save(folder / name)


def recipe(
    member: Path, images: Path, precision: Precision = "fp16", probe_images: int = 16
) -> Recipe:
    names = (str(member),), (str(images),)
    return resolve(Settings(*names, device="cpu", precision=precision, probe_images=probe_images))


def found(images: Path) -> list[Hashed]:
    return hash_sources(scan([str(images)], "stem", None).images, 1)


def begin(member: Path) -> ReadyMember:
    return start(
        open_member(member), policy.preset("none"), "mean", device="cpu", threads=1, batch=4,
        precision="fp16",
    )  # fmt: skip


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[Pixels]:
    """The images on which members are held, which are not run."""
    seen: list[Pixels] = []

    def hold(ready: ReadyMember, merge: Merge, how: How, images: Pixels) -> Agreement:
        seen.append(images)
        return Agreement(len(images), 1, 0.001 * len(seen))

    monkeypatch.setattr(held_images, "hold", hold)
    return seen


@pytest.mark.parametrize("batch", ["N", 3])
def test_a_member_that_only_images_show_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    batch: int | str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    images = save_images(tmp_path / "images", 5)
    white(images, "white.png")
    args = ("run", "--members", dazzled(tmp_path, batch=batch), "--images", images,
            "--device", "cpu")  # fmt: skip
    assert ensemble(*args, "--precision", "fp16") == 4
    told = " ".join(capsys.readouterr().err.split())
    assert "toy-f0.onnx: in float16, head 'label' differs by" in told
    assert not list(tmp_path.rglob("part-*"))
    assert ensemble(*args) == 0


def test_in_float32_no_image_is_read(tmp_path: Path, held: list[Pixels]) -> None:
    images = save_images(tmp_path / "images", 1)
    member = dazzled(tmp_path)
    hold_on_images(recipe(member, images, "fp32"), [begin(member)], found(images), Quiet())
    assert held == []


def test_members_of_one_geometry_are_held_on_the_same_few_images(
    tmp_path: Path, held: list[Pixels]
) -> None:
    images, ready = save_images(tmp_path / "images", 19), begin(dazzled(tmp_path))
    hold_on_images(recipe(tmp_path, images), [ready, ready], found(images), Quiet())
    first, second = held
    assert first.shape == (16, 8, 8, 3)
    assert (first == second).all()


def test_images_that_cannot_be_used_are_passed_over(tmp_path: Path, held: list[Pixels]) -> None:
    images = save_images(tmp_path / "images", 2)
    (images / "a.png").write_bytes(b"no image")
    hold_on_images(recipe(tmp_path, images), [begin(dazzled(tmp_path))], found(images), Quiet())
    assert [len(pixels) for pixels in held] == [2]


def test_where_no_image_can_be_used_there_is_nothing_to_hold(
    tmp_path: Path, held: list[Pixels]
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    member = begin(dazzled(tmp_path))
    hold_on_images(
        recipe(tmp_path, tmp_path / "images"), [member], found(tmp_path / "images"), Quiet()
    )
    assert held == []


def test_how_far_off_members_are_is_told_of_all_together(
    tmp_path: Path, held: list[Pixels]
) -> None:
    images, ready, told = save_images(tmp_path / "images", 5), begin(dazzled(tmp_path)), Told()
    hold_on_images(recipe(tmp_path, images, probe_images=3), [ready] * 2, found(images), told)
    assert [len(pixels) for pixels in held] == [3, 3]
    assert told.said == [
        "in float16, on images of the run: 2 of 6 labels of single members change, and values "
        "differ from float32 by 0.002 at most"
    ]


def test_a_regression_has_no_labels_that_change() -> None:
    assert in_words(FLOAT16, Agreement(0, 0, 0.5)) == (
        "in float16, on images of the run: values differ from float32 by 0.5 at most"
    )
