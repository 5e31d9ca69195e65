"""Who takes part in an early exit: members and views, their evaluations, and their keys."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from ensemble.early_exit.plan import (
    ENDS,
    SUMS,
    ExitPlan,
    ExitTerms,
    accumulator_for,
    column_of,
    terms_json,
)
from ensemble.early_exit.stopping.accumulators import Accumulator
from ensemble.early_exit.stopping.order import Evaluation, evaluations_of
from ensemble.errors import UsageError, few
from ensemble.images.reading import Hashed
from ensemble.inference.fingerprint import ENGINE, ImageSet, fingerprint_of, image_set_of
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import host_views
from ensemble.members.card import Head
from ensemble.predictions.store import Partition, key_of, load_partition
from ensemble.recipe.resolve import Recipe
from ensemble.recipe.saving import Saving
from ensemble.records import TASKS, View
from ensemble.views.policy import IDENTITY
from ensemble.voting.weights import Weights

_FREE: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ExitSetup:
    """Who takes part: the members, the policy, the vote and the images.

    `on_host` tells that views are evaluated one by one there: the members' graphs have none.
    `fingerprints` are those of the members' own predictions of the whole image set, by name.
    """

    recipe: Recipe
    head: Head
    weights: Weights
    ready_members: Sequence[ReadyMember]
    policy: Sequence[View]
    on_host: bool
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
        count = len(self.policy) if self.on_host else 1
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
            "apart": self.on_host,
            "head": self.head.name,
            "views": [[asdict(op) for op in view.ops] for view in self.policy],
        }

    def key(self, ready: ReadyMember) -> str:
        """Return the key of a member's own predictions of the whole image set."""
        return key_of(self.fingerprints[ready.member.card.name])

    def in_graph(self, ready: ReadyMember) -> dict[str, object]:
        """Return the fingerprint of what a member's own graph gives, without the host's views."""
        inside = [[asdict(op) for op in view.ops] for view in ready.policy]
        return {**self.fingerprints[ready.member.card.name], "views": inside}

    def whole(self) -> dict[str, Partition]:
        """Return the members whose own predictions the store has, all of them, by name."""
        found = {}
        for ready in self.ready_members:
            partition = load_partition(self.recipe.resources.store, self.key(ready))
            if partition is not None and all(partition.committed(s) for s in partition.shards):
                found[ready.member.card.name] = partition
        return found


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
    on_host = host_views(recipe.scoring.merge, policy, [p.member for p in ready_members])
    inside = (IDENTITY,) if on_host else tuple(policy)
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
    return ExitSetup(recipe, head, weights, ready_members, policy, on_host, image_set, fingerprints)


@dataclass(frozen=True, slots=True)
class ExitJob:
    """What is to be done: who takes part, and how evaluations are to be saved.

    `began` is when the command began, by `time.monotonic`: a time budget counts from there.
    """

    setup: ExitSetup
    saving: Saving
    began: float
