"""A member over a shard: rows for the images that have pixels, and why the others have none."""

import numpy as np
from assignments import COLUMNS, SMALL

from ensemble.images.loader import Wanted, begin, decoders, load_pixels
from ensemble.images.reading import Hashed
from ensemble.inference.batches import Job
from ensemble.inference.scored import score_shard
from ensemble.progress import Quiet
from ensemble.records import DecodePolicy
from ensemble.runtime.scorer import FakeScorer
from ensemble.worker import Watch


def test_what_has_no_pixels_has_no_row_and_its_neighbours_have_their_own(
    hashed: list[Hashed],
) -> None:
    job = Job("a", FakeScorer(COLUMNS), SMALL, 4, fixed_batch=False, heads=COLUMNS)
    with decoders(hashed, 2) as pool:
        shard = begin(pool, Wanted(hashed, [SMALL]), DecodePolicy(), Watch())
        found = score_shard(job, shard, Quiet(), {})
    assert [lost.id for lost in found.lost] == ["img5"]
    good = [image for image in hashed if image.source.id != "img5"]
    assert found.ids == tuple(image.source.id for image in good)
    for row, image in zip(found.heads["label"], good, strict=True):
        pixels = load_pixels(image, DecodePolicy(), SMALL)[None]
        np.testing.assert_array_equal(row, FakeScorer(COLUMNS).score(pixels)["label"][0])
