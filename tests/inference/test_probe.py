"""What is measured of a player: a member that fails there is named, with its batch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from toys import MakeMember

from ensemble.arrays import Pixels, Probs
from ensemble.errors import MemberError, OutOfMemoryError, ScoreError
from ensemble.inference import start as lineup
from ensemble.inference.probe import batch_noise, seconds_per_image
from ensemble.inference.ready import ReadyMember
from ensemble.members.member import open_member
from ensemble.runtime.devices import CPU
from ensemble.runtime.session import OnnxScorer
from ensemble.views import policy

Begin = Callable[..., ReadyMember]


@pytest.fixture
def begin(make_member: MakeMember) -> Begin:
    """Start a member on the CPU."""

    def start(precision: str = "fp32") -> ReadyMember:
        return lineup.start(
            open_member(make_member()), policy.preset("none"), "mean", device="cpu", threads=1,
            batch=2, precision=precision,
        )  # fmt: skip

    return start


def failing(player: ReadyMember, rows: int, error: Exception) -> ReadyMember:
    """Let a player fail on batches of so many images."""

    def score(images: Pixels) -> Mapping[str, Probs]:
        if len(images) == rows:
            raise error
        return {"label": np.zeros((len(images), 3), np.float32)}

    scorer = SimpleNamespace(score=score, provider=CPU, lanes=1)
    return replace(player, scorer=cast(OnnxScorer, scorer))


@pytest.mark.parametrize("kind", [ScoreError, OutOfMemoryError])
@pytest.mark.parametrize(
    ("measure", "rows"),
    [(seconds_per_image, 4), (batch_noise, 4), (batch_noise, 1)],
)
def test_a_member_that_fails_while_it_is_measured_is_named_with_its_batch(
    begin: Begin, measure: Callable[[ReadyMember], float], rows: int, kind: type[ScoreError]
) -> None:
    with pytest.raises(ScoreError, match=f"member toy-f0, batch of {rows}: odd") as found:
        measure(failing(begin(), rows, kind("odd")))
    assert type(found.value) is kind


def test_a_member_that_fails_while_float16_is_proven_is_refused_by_its_file(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ScoreError("ONNX Runtime failed: odd")

    monkeypatch.setattr(OnnxScorer, "score", fail)
    with pytest.raises(MemberError, match=r"toy-f0.onnx: .*ONNX Runtime failed: odd"):
        begin("fp16")
