"""The evaluations of an early exit at work: live members, or what the store has of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Probs, Vector
from ensemble.early_exit.columns import Lift
from ensemble.early_exit.plan import ExitPlan
from ensemble.early_exit.setup import ExitSetup
from ensemble.early_exit.stopping.order import Evaluation
from ensemble.early_exit.stopping.standing import Accumulator
from ensemble.errors import StoreError
from ensemble.inference.batch_size import batch_size
from ensemble.inference.batches import Job
from ensemble.inference.ready import job_of
from ensemble.predictions.store import load_partition
from ensemble.records import Quarantined, View
from ensemble.views.policy import IDENTITY

_QUARTER: Final = 4
"""The share of the images that an evaluation is made of, about: the others have ended."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveEvaluation:
    """One evaluation at work: a member, and the view that the host gives it.

    `lift` makes rows (n, W) of its heads. `stored` float32 (N, W) are its predictions of all
    images, where the store has them; NaN where an image has none.
    """

    job: Job
    lift: Lift
    view: View
    stored: Probs | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The evaluations in order, what is summed over them, and what each costs, (K,).

    `paid` (K,) is 1 for each evaluation that is made, and 0 where the store has it. `missing` are
    the images that a stored member has no prediction of.
    """

    stages: Sequence[LiveEvaluation]
    accumulator: Accumulator
    costs: Vector
    paid: Vector
    missing: Mapping[str, Quarantined]


def schedule_of(setup: ExitSetup, plan: ExitPlan) -> Schedule:
    """Return the evaluations at work, each member's batches sized for what is left to it.

    Raises:
        StoreError: the store no longer holds the predictions that the plan counts on.
    """
    lifts = {ready.member.card.name: setup.lift(ready) for ready in setup.ready_members}
    tables = {name: _table(setup, key, lifts[name]) for name, key in plan.stored.items()}
    jobs, stored = _jobs(setup), {name: probs for name, (probs, _) in tables.items()}
    stages = [
        LiveEvaluation(
            jobs[each.member],
            lifts[each.member],
            _view_of(setup, each, is_stored=each.member in stored),
            stored.get(each.member),
        )
        for each in plan.evaluations
    ]
    return Schedule(
        stages=stages,
        accumulator=setup.accumulator(plan),
        costs=np.array([e.cost for e in plan.evaluations]),
        paid=np.array([float(stage.stored is None) for stage in stages]),
        missing={name: lost for _, found in tables.values() for name, lost in found.items()},
    )


def _view_of(setup: ExitSetup, evaluation: Evaluation, *, is_stored: bool) -> View:
    """Return what the host turns images by: nothing where the graph or what is stored has it."""
    if is_stored or not setup.on_host:
        return IDENTITY
    return setup.views[evaluation.family][evaluation.view]


def _jobs(setup: ExitSetup) -> dict[str, Job]:
    """Return the members at work, by name."""
    count, store = len(setup.images) // _QUARTER, setup.recipe.resources.store
    return {
        ready.member.card.name: job_of(
            ready, batch_size(ready, count, store, setup.in_graph(ready))
        )
        for ready in setup.ready_members
    }


def _table(setup: ExitSetup, key: str, lift: Lift) -> tuple[Probs, Mapping[str, Quarantined]]:
    """Return stored predictions in the order of the image set, and which images lack one."""
    partition = load_partition(setup.recipe.resources.store, key)
    found = [None if partition is None else partition.found(name) for name in lift.heads]
    scores = [each for each in found if each is not None]
    if len(scores) < len(found):
        raise StoreError(
            f"the store no longer holds the predictions {key}, which this early exit began "
            f"with; make them again without early exit, or name another --store"
        )
    place = {image.source.id: row for row, image in enumerate(setup.images)}
    table: NDArray[np.float32] = np.full((len(setup.images), lift.width), np.nan, np.float32)
    rows = lift.rows({n: each.probs for n, each in zip(lift.heads, scores, strict=True)})
    table[[place[name] for name in scores[0].ids]] = rows  # a part holds every head of its rows
    return table, {lost.id: lost for lost in scores[0].quarantined}
