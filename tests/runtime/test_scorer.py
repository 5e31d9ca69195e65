"""A scorer answers each image by itself, and what fails is named with its member and batch."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.errors import GpuGoneError, OutOfMemoryError, ScoreError
from ensemble.runtime.devices import CPU
from ensemble.runtime.scorer import FakeScorer, score_as

IMAGES = np.arange(5 * 8 * 8 * 3, dtype=np.uint8).reshape(5, 8, 8, 3)


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 6))
def test_a_fake_scorer_answers_each_image_by_itself(seed: int, rows: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (rows, 4, 4, 3), dtype=np.uint8)
    fake = FakeScorer({"label": 3, "age": 2})
    together = fake.score(images)
    for row in range(rows):
        alone = fake.score(images[row : row + 1])
        for name, columns in fake.columns.items():
            assert alone[name].shape == (1, columns)
            np.testing.assert_allclose(alone[name][0], together[name][row], atol=1e-6)
    assert fake.calls == [rows, *[1] * rows]


@given(seed=st.integers(0, 10**6))
def test_a_fake_scorer_gives_probabilities(seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    probs = FakeScorer({"label": 4}).score(images)["label"]
    assert probs.dtype == np.float32
    assert (probs > 0).all()
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-6)


def test_a_fake_scorer_tells_a_moved_pixel() -> None:
    image = np.zeros((1, 4, 4, 3), np.uint8)
    one, other = image.copy(), image.copy()
    one[0, 0, 0, 0] = other[0, 3, 3, 2] = 255
    fake = FakeScorer({"label": 3})
    assert abs(fake.score(one)["label"] - fake.score(other)["label"]).max() > 1e-3


@dataclass
class Failing:
    """A scorer that fails on every batch."""

    error: Exception
    provider: str = CPU

    def score(self, images: np.ndarray) -> dict[str, np.ndarray]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutOfMemoryError("no room"), "member ant-f0, batch of 4: no room. Use fewer views"),
        (ScoreError("odd"), "member ant-f0, batch of 4: odd"),
        (GpuGoneError("gone"), "member ant-f0, batch of 4: gone"),
    ],
)
def test_what_fails_is_named_with_its_member_and_batch(error: ScoreError, said: str) -> None:
    with pytest.raises(type(error)) as found:
        score_as("ant-f0", Failing(error), np.zeros((4, 2, 2, 3), np.uint8))
    assert str(found.value).startswith(said)
    assert type(found.value) is type(error)


def test_what_is_no_fault_of_scoring_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        score_as("ant-f0", Failing(ZeroDivisionError()), np.zeros((1, 2, 2, 3), np.uint8))


def test_a_member_scores_under_its_name_what_it_scores() -> None:
    fake = FakeScorer({"label": 3})
    found = score_as("ant-f0", fake, IMAGES)
    np.testing.assert_array_equal(found["label"], fake.score(IMAGES)["label"])
