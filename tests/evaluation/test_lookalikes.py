"""Pictures that were edited a little are near; others are not, also tiny grey ones."""

import io
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from ensemble.evaluation import lookalikes
from ensemble.evaluation.lookalikes import NEAR, perceptual_hash, similar_pairs

IMAGES = sorted((Path(__file__).parents[2] / "models_zoo/fashion/images").glob("*"))


def test_pairs_are_those_of_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    looks = rng.random((40, 256)) < 0.5
    looks[20:] = looks[:20] ^ (rng.random((20, 256)) < rng.uniform(0, 0.2, (20, 1)))
    folds = rng.integers(0, 3, 40)
    slow = [
        (a, b)
        for a in range(40)
        for b in range(a + 1, 40)
        if (looks[a] != looks[b]).sum() <= NEAR and folds[a] != folds[b]
    ]
    assert similar_pairs(looks, folds) == slow
    assert slow


def test_different_thumbnails_are_not_near() -> None:
    looks = np.array([perceptual_hash(Image.open(path)) for path in IMAGES])
    assert similar_pairs(looks, np.arange(len(looks))) == []


@pytest.mark.parametrize("edit", ["jpeg", "half"])
def test_an_edited_photograph_is_near(edit: str) -> None:
    data = __import__("skimage.data").data
    photo = Image.fromarray(data.astronaut())
    if edit == "half":
        other = photo.resize((256, 256))
    else:
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=50)
        other = Image.open(buffer)
    assert similar_pairs(
        np.array([perceptual_hash(photo), perceptual_hash(other)]), np.arange(2)
    ) == [(0, 1)]


def apart(bits: int) -> np.ndarray:
    """Two looks that differ in so many bits."""
    looks = np.zeros((2, 256), bool)
    looks[1, :bits] = True
    return looks


@pytest.mark.parametrize(("bits", "near"), [(0, True), (NEAR, True), (NEAR + 1, False)])
def test_near_is_up_to_so_many_bits(bits: int, near: bool) -> None:
    assert bool(similar_pairs(apart(bits), np.arange(2))) == near


def test_pictures_of_one_fold_are_no_pair() -> None:
    assert similar_pairs(apart(0), np.array([3, 3])) == []


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_pictures_are_no_pair(rows: int) -> None:
    assert similar_pairs(np.zeros((rows, 256), bool), np.zeros(rows, np.int64)) == []


def test_blocks_change_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    looks = np.repeat(rng.random((9, 256)) < 0.5, 3, 0)
    folds = np.arange(27) % 2
    whole = similar_pairs(looks, folds)
    for block in (1, 4, 26):
        monkeypatch.setattr(lookalikes, "_BLOCK", block)
        assert sorted(similar_pairs(looks, folds)) == sorted(whole)
    assert len(whole) == 9 * 2


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_looks_are_those_of_imagehash_in_any_mode(mode: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    found = perceptual_hash(image)
    assert (found.dtype, found.shape) == (np.bool_, (256,))
    assert found.tolist() == imagehash.phash(image, hash_size=16).hash.ravel().tolist()


def test_a_picture_that_is_one_pixel_has_looks() -> None:
    assert perceptual_hash(Image.new("RGB", (1, 1))).shape == (256,)
