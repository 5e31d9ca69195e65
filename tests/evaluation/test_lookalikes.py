"""Pictures that were edited a little are near; others are not, also tiny grey ones."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ensemble.evaluation.lookalikes import NEAR, looks_of, near_pairs

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
    assert near_pairs(looks, folds) == slow
    assert slow


def test_different_thumbnails_are_not_near() -> None:
    looks = np.array([looks_of(Image.open(path)) for path in IMAGES])
    assert near_pairs(looks, np.arange(len(looks))) == []


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
    assert near_pairs(np.array([looks_of(photo), looks_of(other)]), np.arange(2)) == [(0, 1)]
