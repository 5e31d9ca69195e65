"""Members score every shard: each row is the score of its own image."""

import io
from pathlib import Path

import numpy as np
from assignments import COLUMNS, LARGE, assigned, run
from PIL import Image

from ensemble.arrays import Pixels
from ensemble.images.reading import Hashed
from ensemble.images.resize import resize
from ensemble.records import Geometry
from ensemble.runtime.scorer import FakeScorer


def test_each_row_is_the_score_of_its_own_image(tmp_path: Path, hashed: list[Hashed]) -> None:
    assignments = [
        assigned(tmp_path, FakeScorer(COLUMNS), name="a"),
        assigned(tmp_path, FakeScorer(COLUMNS), name="b", geometry=LARGE, batch=3),
    ]
    run(hashed, *assignments)
    for each in assignments:
        found = each.partition.read("label")
        good = [h for h in hashed if h.source.id != "img5"]
        assert found.ids == tuple(h.source.id for h in good)
        assert [q.id for q in found.quarantined] == ["img5"]
        for row, image in zip(found.probs, good, strict=True):
            pixels = _pixels(image, each.job.geometry)
            np.testing.assert_array_equal(row, FakeScorer(COLUMNS).score(pixels)["label"][0])


def _pixels(image: Hashed, geometry: Geometry) -> Pixels:
    with Image.open(io.BytesIO(image.source.path.read_bytes())) as opened:
        return resize(opened.convert("RGB"), geometry)[None]
