"""What an early exit found, read back from the store: labels, evaluations, and its record."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Indices
from ensemble.early_exit.plan import ENDS
from ensemble.early_exit.record import ExitRun, record_of
from ensemble.early_exit.setup import ExitJob
from ensemble.files.paths import natural_key
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions
from ensemble.records import hashes_of


@dataclass(frozen=True, slots=True, eq=False)
class Exited:
    """What an early exit found.

    `votes` name who is predicted, and hold no columns; `labels` are int64 (N, D), `evaluations`
    int64 (N,). `record` is what run.json says, `made` how many evaluations were made now, and
    `odd` what was odd about files, counted.
    """

    votes: Predictions
    labels: Indices
    evaluations: Indices
    record: Mapping[str, object]
    made: int
    odd: Mapping[str, int]


def result_of(work: ExitJob, run: ExitRun, made: int, odd: Mapping[str, int]) -> Exited:
    """Return what the store now holds of a run, and what run.json is to say.

    Args:
        work: What was to be done.
        run: What the store has of it.
        made: How many evaluations were made now.
        odd: What was odd about files, counted.
    """
    scores, setup = run.partition.read(ENDS), work.setup
    members = [ready.member.identity for ready in setup.ready_members]
    votes = Predictions(
        ids=scores.ids,
        classes=setup.head.classes,
        families={},
        members=hashes_of(members),
        task=setup.head.task,
        quarantined=tuple(sorted(scores.quarantined, key=lambda q: natural_key(q.id))),
        deployed=True,
        output=setup.head.name,
        sources=tuple(RecordedMember(member, None) for member in members),
    )
    record = record_of(setup.terms(work.saving), run, scores.probs)
    evaluations, labels = (scores.probs[:, at].astype(np.int64) for at in (0, slice(2, None)))
    return Exited(votes, labels, evaluations, record, made, odd)
