"""The report of weights.json has the fields that its record names."""

from typing import get_type_hints

import numpy as np

from ensemble.predictions.table import Predictions
from ensemble.progress import Quiet
from ensemble.tuning.weigh import TuneOrder, weigh
from ensemble.voting.evidence import EvidenceRecord


def test_what_tuning_writes_are_fields_of_the_record() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), (2, 60))
    ids = tuple(map(str, range(60)))
    given = Predictions(ids, tuple("abc"), dict(zip("xy", probs, strict=True)), np.arange(60) % 3)
    order = TuneOrder((), "none", "log_loss")  # type: ignore[arg-type]
    found = weigh(given, rng.integers(0, 3, 60), order, None, Quiet()).evidence
    assert set(found) <= set(get_type_hints(EvidenceRecord))
