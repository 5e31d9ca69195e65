"""What ONNX Runtime raises is translated at the seam."""

from types import SimpleNamespace

import numpy as np
import pytest

from ensemble.errors import OutOfMemoryError, ScoreError
from ensemble.session import OnnxScorer


def scorer_that_raises(error: Exception) -> OnnxScorer:
    """A scorer whose session fails on every batch."""

    def run(*_: object) -> None:
        raise error

    scorer = OnnxScorer.__new__(OnnxScorer)
    scorer._outputs, scorer._input = {"label": "label"}, "image"
    scorer._session = SimpleNamespace(run=run)
    return scorer


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("BFCArena: Failed to allocate memory for 8 bytes"), OutOfMemoryError),
        (RuntimeError("CUDA failure 2: out of memory"), OutOfMemoryError),
        (MemoryError("std::bad_alloc"), OutOfMemoryError),
        (RuntimeError("a shape is wrong"), ScoreError),
    ],
)
def test_failures_are_told_apart(error: Exception, expected: type[ScoreError]) -> None:
    with pytest.raises(ScoreError) as found:
        scorer_that_raises(error).score(np.zeros((1, 2, 2, 3), np.uint8))
    assert type(found.value) is expected
