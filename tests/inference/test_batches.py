"""One member in batches: filled, spread over lanes, halved, and checked."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock

import numpy as np
import pytest
from assignments import COLUMNS, Tight, assigned, run

from ensemble.arrays import Pixels, Probs
from ensemble.errors import OutOfMemoryError, ScoreError
from ensemble.images.reading import Hashed
from ensemble.inference.batches import NonFiniteError, Rows, score_in_batches
from ensemble.progress import Quiet
from ensemble.runtime.devices import CPU, CUDA
from ensemble.runtime.scorer import FakeScorer


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize(("batch", "shard"), [(1, 1), (3, 4), (4, 6), (32, 11)])
def test_batches_shards_and_lanes_change_no_bit(
    tmp_path: Path, hashed: list[Hashed], batch: int, shard: int, lanes: int
) -> None:
    plain = assigned(tmp_path / "plain", FakeScorer(COLUMNS))
    other = assigned(tmp_path / "other", FakeScorer(COLUMNS), batch=batch, shard=shard, lanes=lanes)
    run(hashed, plain)
    run(hashed, other)
    expected, found = plain.partition.read("label"), other.partition.read("label")
    assert found.ids == expected.ids
    np.testing.assert_array_equal(found.probs, expected.probs)


def test_a_fixed_batch_is_always_filled(tmp_path: Path, hashed: list[Hashed]) -> None:
    scorer = FakeScorer(COLUMNS)
    run(hashed, assigned(tmp_path, scorer, batch=4, fixed=True))
    assert set(scorer.calls) == {4}


def test_few_images_are_spread_over_the_lanes(tmp_path: Path, hashed: list[Hashed]) -> None:
    scorer = FakeScorer(COLUMNS)
    run(hashed, assigned(tmp_path, scorer, batch=32, shard=11, lanes=3))
    assert scorer.calls == [4, 4, 4]


@dataclass(frozen=True, slots=True)
class Broken:
    """A scorer that fails, or gives columns that nobody asked for."""

    columns: int
    provider: str = "Broken"

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        if not self.columns:
            raise ScoreError("out of order")
        return {"label": np.zeros((len(images), self.columns), np.float32)}


@pytest.mark.parametrize(("columns", "message"), [(0, "member a.*out of order"), (4, r"\(4, 3\)")])
def test_a_scorer_that_fails_names_its_member(
    tmp_path: Path, hashed: list[Hashed], columns: int, message: str
) -> None:
    with pytest.raises(ScoreError, match=message):
        run(hashed, assigned(tmp_path, Broken(columns)))


def test_a_batch_that_does_not_fit_is_halved_once_for_the_run_and_changes_no_bit(
    tmp_path: Path, hashed: list[Hashed]
) -> None:
    plain, inner = assigned(tmp_path / "plain", FakeScorer(COLUMNS)), FakeScorer(COLUMNS)
    tight = assigned(tmp_path / "tight", Tight(1, inner))
    run(hashed, plain)
    run(hashed, tight)
    assert inner.calls == [-4, -2] + [1] * 11
    np.testing.assert_array_equal(
        tight.partition.read("label").probs, plain.partition.read("label").probs
    )


@pytest.mark.parametrize(("fixed", "batch"), [(False, 1), (True, 4)])
def test_memory_that_holds_no_batch_names_the_member(
    tmp_path: Path, hashed: list[Hashed], fixed: bool, batch: int
) -> None:
    scorer = Tight(0, FakeScorer(COLUMNS))
    with pytest.raises(OutOfMemoryError, match=f"member a, batch of {batch}.*allocate"):
        run(hashed, assigned(tmp_path, scorer, fixed=fixed))


def test_a_batch_that_does_not_fit_beside_others_goes_on_alone(
    tmp_path: Path, hashed: list[Hashed]
) -> None:
    plain, inner = assigned(tmp_path / "plain", FakeScorer(COLUMNS)), FakeScorer(COLUMNS)
    crowded = assigned(tmp_path / "crowded", Crowded(inner), batch=1, lanes=3)
    run(hashed, plain)
    run(hashed, crowded)
    np.testing.assert_array_equal(
        crowded.partition.read("label").probs, plain.partition.read("label").probs
    )


@dataclass(frozen=True, slots=True)
class Crowded:
    """A scorer whose memory holds one batch, while another waits for company at most a second."""

    inner: FakeScorer
    provider: str = "Crowded"
    taken: Lock = field(default_factory=Lock)
    met: Event = field(default_factory=Event)

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        if not self.taken.acquire(blocking=False):
            self.met.set()
            raise OutOfMemoryError("Failed to allocate memory")
        try:
            self.met.wait(1)
            return self.inner.score(images)
        finally:
            self.taken.release()


@dataclass(frozen=True, slots=True)
class Ill:
    """A scorer that fails on every image, late on the first, and says which it was."""

    provider: str = "Ill"

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        level = int(images.sum())
        time.sleep(0.05 if level == FIRST else 0)
        raise ScoreError(f"level {level}")


FIRST = 3


@pytest.mark.parametrize("_", range(3))
def test_of_batches_that_fail_together_the_first_in_order_is_told(tmp_path: Path, _: int) -> None:
    pixels = np.zeros((9, 1, 1, 3), np.uint8)
    pixels[:, 0, 0, 0] = FIRST + np.arange(9)
    images = Rows(pixels, [str(n) for n in range(9)], lambda rows: [True] * len(pixels[rows]))
    with pytest.raises(ScoreError, match=f"level {FIRST}$"):
        score_in_batches(assigned(tmp_path, Ill(), batch=1, lanes=4).job, images, Quiet(), {})


FORK = """
import os, signal
import numpy as np
from ensemble.inference.batches import Job, Rows, score_in_batches
from ensemble.progress import Quiet
from ensemble.runtime.scorer import FakeScorer
from ensemble.records import Geometry, Size

pixels = np.zeros((8, 1, 1, 3), np.uint8)
images = Rows(pixels, [str(n) for n in range(8)], lambda rows: [True] * len(pixels[rows]))
geometry = Geometry(Size(1, 1), "squash", 1.0, "bilinear", 3, ())
job = Job("a", FakeScorer({"label": 3}), geometry, 1, False, {"label": 3}, lanes=2)
expected = score_in_batches(job, images, Quiet(), {})["label"]
child = os.fork()
if not child:
    signal.alarm(20)
    found = score_in_batches(job, images, Quiet(), {})["label"]
    os._exit(0 if (found == expected).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_scores_as_its_parent_did() -> None:
    run = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_after_a_failure_no_batch_is_begun(tmp_path: Path) -> None:
    pixels = np.zeros((100, 1, 1, 3), np.uint8)
    images = Rows(pixels, [str(n) for n in range(100)], lambda rows: [True] * len(pixels[rows]))
    scorer = Halting()
    with pytest.raises(ScoreError):
        score_in_batches(assigned(tmp_path, scorer, batch=1, lanes=2).job, images, Quiet(), {})
    assert len(scorer.calls) <= 4


@dataclass(frozen=True, slots=True)
class Halting:
    """A scorer that fails on every batch, and counts them."""

    calls: list[int] = field(default_factory=list)
    provider: str = "Halting"

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        self.calls.append(len(images))
        raise ScoreError("out of order")


@pytest.mark.parametrize(("provider", "expected"), [(CPU, {4, 2}), (CUDA, {4})])
def test_a_gpu_sees_batches_of_one_shape(
    tmp_path: Path, hashed: list[Hashed], provider: str, expected: set[int]
) -> None:
    scorer = FakeScorer(COLUMNS, provider)
    run(hashed, assigned(tmp_path, scorer, batch=4, shard=9))
    assert set(scorer.calls) == expected


def test_a_member_that_gave_nan_can_be_told_of_by_another_process() -> None:
    error = pickle.loads(pickle.dumps(NonFiniteError("ant-f0", "img3")))
    assert (error.member, "'img3'" in str(error)) == ("ant-f0", True)
