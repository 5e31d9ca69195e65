"""Who takes part in an early exit: members and views, their evaluations, and their keys."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Probs, Vector
from ensemble.early_exit.plan import (
    ENDS,
    PLAN,
    SUMS,
    ExitPlan,
    ExitTerms,
    accumulator_for,
    calibrated_of,
    column_of,
    read_plan,
    terms_json,
)
from ensemble.early_exit.stopping.accumulators import Accumulator
from ensemble.early_exit.stopping.order import Evaluation, evaluations_of
from ensemble.errors import StoreError, UsageError, few
from ensemble.files.atomic import publish_json, sha256_json
from ensemble.images.reading import Hashed
from ensemble.inference.batches import Job
from ensemble.inference.fingerprint import ENGINE, ImageSet, fingerprint_of, image_set_of
from ensemble.inference.probe import batch_noise, seconds_per_image
from ensemble.inference.ready import ReadyMember, job_of
from ensemble.inference.start import host_views
from ensemble.members.card import Head
from ensemble.predictions.store import Partition, key_of, load_partition
from ensemble.recipe.resolve import Recipe, Saving
from ensemble.records import TASKS, Quarantined, View
from ensemble.views import policy as views
from ensemble.voting.weights import Weights

_FREE: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LiveEvaluation:
    """One evaluation at work: a member, and the view that the host gives it.

    `stored` float32 (N, C) are its predictions of all images, where the store has them; NaN where
    an image has none.
    """

    job: Job
    head: str
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


@dataclass(frozen=True, slots=True, eq=False)
class ExitSetup:
    """Who takes part: the members, the policy, the vote and the images.

    `apart` tells that views are evaluated one by one, on the host: the members' graphs have none.
    `fingerprints` are those of the members' own predictions of the whole image set, by name.
    """

    recipe: Recipe
    head: Head
    weights: Weights
    ready_members: Sequence[ReadyMember]
    policy: Sequence[View]
    apart: bool
    image_set: ImageSet
    fingerprints: Mapping[str, Mapping[str, object]]

    @property
    def images(self) -> Sequence[Hashed]:
        """The images, in the order of their ids."""
        return self.image_set.images

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return [ready.member.card.name for ready in self.ready_members]

    def evaluations(
        self, costs: Mapping[str, float], stored: Collection[str] = ()
    ) -> list[Evaluation]:
        """Return the evaluations in order, by what one of each member costs.

        A member that the store knows costs next to nothing, and is one evaluation with all views.
        """
        cards = [ready.member.card for ready in self.ready_members]
        count = len(self.policy) if self.apart else 1
        free = dict.fromkeys(stored, min(costs.values()) * _FREE)
        found = evaluations_of(
            [(card.name, card.family) for card in cards],
            self.weights.families,
            {**costs, **free},
            count,
        )
        return [
            replace(e, weight=e.weight * count) if e.member in stored else e
            for e in found
            if e.member not in stored or not e.view
        ]

    def accumulator(self, plan: ExitPlan) -> Accumulator:
        """Return the accumulator of the vote."""
        head = self.head
        return accumulator_for(
            self.recipe.fusion.voting, self.weights, plan, classes=len(head.classes), task=head.task
        )

    def terms(self, saving: Saving) -> ExitTerms:
        """Return what the images end under."""
        head = self.head
        return ExitTerms(saving, self.recipe.fusion.voting, self.weights, head.classes, head.task)

    def fingerprint(self, saving: Saving) -> dict[str, object]:
        """Return what decides how images end, but for the plan, which is kept beside it."""
        bare = ExitPlan(tuple(self.evaluations(dict.fromkeys(self.names, 1.0))), 0.0, 0, {})
        classes = len(self.head.classes)
        width = self.accumulator(bare).depth * classes
        labels = TASKS[self.head.task].labels(classes)
        ends = ["evaluations", "threshold", *(f"label {n}" for n in range(labels))]
        return {
            **self._common(),
            **terms_json(self.terms(saving)),
            "images": self.image_set.sha256,
            "heads": [
                {"name": SUMS, "classes": [str(n) for n in range(width)]},
                {"name": ENDS, "classes": ends},
            ],
        }

    def sample(self, plan: ExitPlan, drawn: Sequence[Hashed]) -> dict[str, object]:
        """Return what decides the scores of the images that are drawn for the calibration."""
        names = sorted(column_of(e) for e in plan.evaluations)
        return {
            **self._common(),
            "images": image_set_of(drawn).sha256,
            "heads": [{"name": name, "classes": list(self.head.classes)} for name in names],
        }

    def _common(self) -> dict[str, object]:
        return {
            "engine": ENGINE,
            "member": "early exit",
            "members": sorted(
                [p.member.card.family, p.member.card.name, self.key(p)] for p in self.ready_members
            ),
            "apart": self.apart,
            "head": self.head.name,
            "views": [[asdict(op) for op in view.ops] for view in self.policy],
        }

    def key(self, ready: ReadyMember) -> str:
        """Return the key of a member's own predictions of the whole image set."""
        return key_of(self.fingerprints[ready.member.card.name])

    def in_graph(self, ready: ReadyMember) -> dict[str, object]:
        """Return the fingerprint of what a member's own graph gives: without views if apart."""
        inside = [[asdict(op) for op in view.ops] for view in ready.policy]
        return {**self.fingerprints[ready.member.card.name], "views": inside}

    def schedule(self, plan: ExitPlan, sizes: Mapping[str, int]) -> Schedule:
        """Return the evaluations at work; `sizes` are the members' batch sizes, by name."""
        ready_members = {p.member.card.name: p for p in self.ready_members}
        tables = {name: self._table(key) for name, key in plan.stored.items()}
        stages = [
            LiveEvaluation(
                job_of(ready_members[e.member], sizes[e.member]),
                self.head.name,
                self.policy[e.view] if self.apart and e.member not in tables else views.IDENTITY,
                tables[e.member][0] if e.member in tables else None,
            )
            for e in plan.evaluations
        ]
        return Schedule(
            stages=stages,
            accumulator=self.accumulator(plan),
            costs=np.array([e.cost for e in plan.evaluations]),
            paid=np.array([float(stage.stored is None) for stage in stages]),
            missing={name: lost for _, found in tables.values() for name, lost in found.items()},
        )

    def whole(self) -> dict[str, Partition]:
        """Return the members whose own predictions the store has, all of them, by name."""
        found = {}
        for ready in self.ready_members:
            partition = load_partition(self.recipe.resources.store, self.key(ready))
            if partition is not None and all(partition.committed(s) for s in partition.shards):
                found[ready.member.card.name] = partition
        return found

    def _table(self, key: str) -> tuple[Probs, Mapping[str, Quarantined]]:
        """Return stored predictions in the order of the image set, and which images lack one."""
        partition = load_partition(self.recipe.resources.store, key)
        scores = None if partition is None else partition.found(self.head.name)
        if scores is None:
            raise StoreError(
                f"the store no longer holds the predictions {key}, which this early exit began "
                f"with; make them again without early exit, or name another --store"
            )
        place = {image.source.id: row for row, image in enumerate(self.images)}
        shape = (len(self.images), len(self.head.classes))
        table: NDArray[np.float32] = np.full(shape, np.nan, np.float32)
        table[[place[name] for name in scores.ids]] = scores.probs
        return table, {lost.id: lost for lost in scores.quarantined}


def setup_of(
    recipe: Recipe,
    head: Head,
    ready_members: Sequence[ReadyMember],
    policy: Sequence[View],
    image_set: ImageSet,
) -> ExitSetup:
    """Gather who takes part.

    Raises:
        UsageError: the members were started with other views in their graphs.
    """
    families = {p.member.card.family for p in ready_members}
    weights = recipe.fusion.weights or Weights(dict.fromkeys(sorted(families), 1.0))
    separate = host_views(recipe.scoring.merge, policy, [p.member for p in ready_members])
    inside = (views.IDENTITY,) if separate else tuple(policy)
    odd = [p.member.card.name for p in ready_members if p.policy != inside]
    if odd:
        raise UsageError(
            f"{few(odd)}: the views in the graph are not those of an early exit; start the members "
            f"for one"
        )
    fingerprints = {
        p.member.card.name: fingerprint_of(recipe, p.member, policy, p.scorer.provider, image_set)
        for p in ready_members
    }
    return ExitSetup(
        recipe, head, weights, ready_members, policy, separate, image_set, fingerprints
    )


def open_plan(partition: Partition, setup: ExitSetup, saving: Saving) -> ExitPlan:
    """Return the plan of a key; make it where the key is new.

    Raises:
        StoreError: the plan was edited, or is gone and parts are there; or the disk refused.
    """
    path = partition.folder / PLAN
    if path.exists() or any(partition.begun(shard) for shard in partition.shards):
        return read_plan(partition)
    noise = max(batch_noise(ready) for ready in setup.ready_members)
    plan = _plan(setup, saving, _costs(setup.ready_members), noise)
    record = asdict(plan)
    publish_json(path, {**record, "check": sha256_json(record)})
    return plan


def forecast_plan(
    partition: Partition, setup: ExitSetup, saving: Saving
) -> tuple[ExitPlan, int | None]:
    """Return the plan of a key, and how many images it calibrates; write nothing.

    Of a new key it is what is known without measuring: costs are alike, and with a time budget the
    calibration is None, and empty in the plan.

    Raises:
        StoreError: the plan was edited.
    """
    if (partition.folder / PLAN).exists():
        plan = read_plan(partition)
        return plan, plan.calibrated
    plan = _plan(setup, saving, dict.fromkeys(setup.names, 1.0), 0.0)
    if saving.seconds is not None and not saving.calibration:
        return replace(plan, calibrated=0), None
    return plan, plan.calibrated


def _plan(setup: ExitSetup, saving: Saving, costs: Mapping[str, float], noise: float) -> ExitPlan:
    stored = {name: held.key for name, held in setup.whole().items()}
    evaluations = setup.evaluations(costs, stored)
    calibrated = calibrated_of(saving, len(setup.images), evaluations)
    return ExitPlan(tuple(evaluations), noise, calibrated, stored)


def _costs(ready_members: Sequence[ReadyMember]) -> dict[str, float]:
    """Measure what an evaluation of each member costs, in seconds; a family has one cost.

    The folds of a family are one net, so what they differ by is noise of the clock.
    """
    least: dict[str, float] = {}
    for ready in ready_members:
        family, seconds = ready.member.card.family, seconds_per_image(ready)
        least[family] = min(seconds, least.get(family, seconds))
    return {p.member.card.name: least[p.member.card.family] for p in ready_members}


@dataclass(frozen=True, slots=True)
class ExitJob:
    """What is to be done: who takes part, and how evaluations are to be saved.

    `began` is when the command began, by `time.monotonic`: a time budget counts from there.
    """

    setup: ExitSetup
    saving: Saving
    began: float
