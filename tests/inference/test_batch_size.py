"""The batch size that a warm-up finds, on scorers whose speed is known."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from toys import MakeMember

from ensemble.arrays import Pixels, Probs
from ensemble.errors import OutOfMemoryError, ScoreError
from ensemble.inference import start
from ensemble.inference.batch_size import batch_size
from ensemble.inference.ready import ReadyMember
from ensemble.members.member import open_member
from ensemble.records import Size
from ensemble.runtime.devices import CPU
from ensemble.runtime.session import OnnxScorer
from ensemble.views import policy

MANY = 10**7
DECIDES = {"member": "a"}


@dataclass(frozen=True, slots=True)
class Paced:
    """A scorer that takes a time for each batch size, and gives rows of ones."""

    seconds: Mapping[int, float]
    lanes: int = 2
    provider: str = CPU
    calls: list[int] = field(default_factory=list)
    odd: int = 0
    room: int = 10**9
    fails: int = 0

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        if len(images) == self.fails:
            raise ScoreError("a shape is wrong")
        if len(images) > self.room:
            raise OutOfMemoryError("Failed to allocate memory")
        self.calls.append(len(images))
        time.sleep(self.seconds[len(images)])
        return {"label": np.full((len(images), 3), 1 + (len(images) == self.odd), np.float32)}


@dataclass(frozen=True, slots=True)
class Forgetful(Paced):
    """A scorer that gives other numbers for its third batch, or has no memory for it."""

    full: bool = False

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        outputs = super(Forgetful, self).score(images)
        third = len(self.calls) == 3
        if third and self.full:
            raise OutOfMemoryError("Failed to allocate memory")
        return {name: rows + third for name, rows in outputs.items()}


QUICK_BY_TWO = {1: 0.004, 2: 0.002, 4: 0.024}


@pytest.fixture
def ready(make_member: MakeMember) -> ReadyMember:
    """A member whose sizes 1, 2 and 4 are worth a try; 1 was guessed."""
    started = start.start(
        open_member(make_member()), policy.preset("none"), "mean", device="cpu", threads=1, batch=1
    )
    return replace(started, sizes=(1, 2, 4))


def paced(ready: ReadyMember, scorer: Paced) -> ReadyMember:
    return replace(ready, scorer=cast(OnnxScorer, scorer))


def test_the_quickest_size_is_found(ready: ReadyMember, tmp_path: Path) -> None:
    assert batch_size(paced(ready, Paced(QUICK_BY_TWO)), MANY, tmp_path, DECIDES) == 2


def test_what_was_found_is_remembered(ready: ReadyMember, tmp_path: Path) -> None:
    batch_size(paced(ready, Paced(QUICK_BY_TWO)), MANY, tmp_path, DECIDES)
    again = Paced(QUICK_BY_TWO)
    assert batch_size(paced(ready, again), MANY, tmp_path, DECIDES) == 2
    assert again.calls == []


@pytest.mark.parametrize("lanes", [1, 2])
def test_another_member_or_number_of_lanes_is_tried_anew(
    ready: ReadyMember, tmp_path: Path, lanes: int
) -> None:
    batch_size(paced(ready, Paced(QUICK_BY_TWO)), MANY, tmp_path, DECIDES)
    other = Paced(QUICK_BY_TWO, lanes=lanes)
    batch_size(paced(ready, other), MANY, tmp_path, {"member": "b"} if lanes == 2 else DECIDES)
    assert other.calls


@pytest.mark.parametrize("images", [40, 4000])
def test_few_images_are_scored_by_the_size_that_was_guessed(
    ready: ReadyMember, tmp_path: Path, images: int
) -> None:
    scorer = Paced(QUICK_BY_TWO)
    assert batch_size(paced(ready, scorer), images, tmp_path, DECIDES) == 1
    assert scorer.calls == []
    assert not list(tmp_path.glob("batch-sizes/*"))


def test_a_size_that_was_asked_for_is_not_questioned(ready: ReadyMember, tmp_path: Path) -> None:
    asked = replace(paced(ready, Paced(QUICK_BY_TWO)), sizes=())
    assert batch_size(asked, MANY, tmp_path, DECIDES) == 1


def test_a_size_that_changes_an_output_is_not_taken(ready: ReadyMember, tmp_path: Path) -> None:
    scorer = Paced(QUICK_BY_TWO, odd=2)
    assert batch_size(paced(ready, scorer), MANY, tmp_path, DECIDES) == 1


def test_a_size_without_memory_is_not_taken(ready: ReadyMember, tmp_path: Path) -> None:
    scorer = Paced({1: 0.004, 2: 0.002}, room=2)
    assert batch_size(paced(ready, scorer), MANY, tmp_path, DECIDES) == 2


def test_a_guess_without_memory_is_left_to_the_run(ready: ReadyMember, tmp_path: Path) -> None:
    assert batch_size(paced(ready, Paced({}, room=0)), MANY, tmp_path, DECIDES) == 1


def test_a_member_that_fails_at_a_size_is_named_with_it(ready: ReadyMember, tmp_path: Path) -> None:
    scorer = Paced(QUICK_BY_TWO, fails=4)
    with pytest.raises(ScoreError, match="member toy-f0, batch of 4: a shape is wrong"):
        batch_size(paced(ready, scorer), MANY, tmp_path, DECIDES)


@pytest.mark.parametrize("full", [False, True])
def test_a_guess_that_is_not_among_the_sizes_tried_is_kept(
    ready: ReadyMember, tmp_path: Path, full: bool
) -> None:
    scorer = Forgetful(QUICK_BY_TWO, full=full)
    assert batch_size(paced(ready, scorer), MANY, tmp_path, DECIDES) == 1
    assert not list(tmp_path.glob("batch-sizes/*"))


def test_a_memory_that_cannot_be_read_is_made_anew(ready: ReadyMember, tmp_path: Path) -> None:
    batch_size(paced(ready, Paced(QUICK_BY_TWO)), MANY, tmp_path, DECIDES)
    (path,) = tmp_path.glob("batch-sizes/*.json")
    path.write_text("{")
    assert batch_size(paced(ready, Paced(QUICK_BY_TWO)), MANY, tmp_path, DECIDES) == 2
    assert json.loads(path.read_text())["batch"] == 2


@pytest.mark.parametrize(
    ("side", "tta", "guess"),
    [(224, "none", 2), (224, "hflip", 1), (224, "d4", 1), (28, "flip", 32), (64, "hflip", 8)],
)
def test_the_guess_suits_the_pixels_of_all_views(
    make_member: MakeMember, side: int, tta: str, guess: int
) -> None:
    member = open_member(make_member(size=Size(side, side)))
    ready = start.start(
        member, policy.preset(tta), "mean", device="cpu", threads=1, batch="auto"
    )  # fmt: skip
    assert ready.batch == guess
    assert ready.batch in ready.sizes
