"""A member that is ready scores by its heads, and is put to work as its card and export say."""

from pathlib import Path

import numpy as np
import pytest
from begun import begin
from toys import CLASSES, MakeMember, save_member, toy_card, toy_model

from ensemble.errors import ScoreError
from ensemble.inference.probe import probe_images
from ensemble.inference.ready import job_of
from ensemble.records import Size


def test_each_head_gives_a_row_of_probabilities_an_image(make_member: MakeMember) -> None:
    scores = begin(make_member()).score(probe_images((5, 8, 8, 3)))
    assert list(scores) == ["label"]
    assert scores["label"].shape == (5, len(CLASSES))
    assert scores["label"].dtype == np.float32
    np.testing.assert_allclose(scores["label"].sum(1), 1, atol=1e-6)


def test_images_of_another_size_name_the_member_and_the_batch(make_member: MakeMember) -> None:
    with pytest.raises(ScoreError, match="member toy-f0, batch of 2"):
        begin(make_member()).score(probe_images((2, 9, 8, 3)))


def test_a_member_at_work_is_what_its_card_says(make_member: MakeMember) -> None:
    ready = begin(make_member(size=Size(6, 10), classes=["a", "b"]))
    job = job_of(ready, 7)
    assert (job.name, job.batch, job.heads) == ("toy-f0", 7, {"label": 2})
    assert job.geometry == ready.member.card.preprocess.geometry
    assert job.geometry.size == Size(6, 10)
    assert (job.scorer, job.lanes) == (ready.scorer, ready.scorer.lanes)
    assert not job.fixed_batch


def test_a_batch_that_the_export_froze_stays_so_at_work(tmp_path: Path) -> None:
    card = toy_card()
    ready = begin(save_member(tmp_path, card, toy_model(card, batch=8)), tta="flip")
    assert job_of(ready, ready.batch).fixed_batch
    assert ready.sizes == ()


def test_a_batch_size_that_was_given_leaves_nothing_to_try(make_member: MakeMember) -> None:
    ready = begin(make_member(), batch=3)
    assert (ready.batch, ready.sizes) == (3, ())
