"""Who takes part in an early exit: members and views, their evaluations, and their keys."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from ensemble.early_exit import columns
from ensemble.early_exit.columns import Lift, Part, joint_vote, lift_of
from ensemble.early_exit.plan import (
    ENDS,
    SUMS,
    ExitPlan,
    ExitTerms,
    accumulator_for,
    column_of,
    terms_json,
)
from ensemble.early_exit.stopping.joint_vote import JointVote
from ensemble.early_exit.stopping.order import Evaluation, evaluations_of
from ensemble.early_exit.stopping.standing import Accumulator
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
_ANY: Final = Saving("lossless", None, 0.95, 0)
"""How images end decides nothing of what is summed."""


@dataclass(frozen=True, slots=True, eq=False)
class ExitSetup:
    """Who takes part: the members with their views, the vote and the images.

    `on_host` tells that views are evaluated one by one there: the members' graphs have none.
    `fingerprints` are those of the members' own predictions of the whole image set, by name.
    `joint` is the vote on the tasks of a label map, whose labels are those of `head`.
    """

    recipe: Recipe
    head: Head
    weights: Weights
    ready_members: Sequence[ReadyMember]
    on_host: bool
    image_set: ImageSet
    fingerprints: Mapping[str, Mapping[str, object]]
    joint: JointVote | None = None

    @property
    def images(self) -> Sequence[Hashed]:
        """The images, in the order of their ids."""
        return self.image_set.images

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return [ready.member.card.name for ready in self.ready_members]

    @property
    def views(self) -> dict[str, tuple[View, ...]]:
        """The views of each family."""
        return {ready.member.card.family: ready.views for ready in self.ready_members}

    def evaluations(
        self, costs: Mapping[str, float], stored: Collection[str] = ()
    ) -> list[Evaluation]:
        """Return the evaluations in order, by what one of each member costs.

        A member that the store knows costs next to nothing, and is one evaluation with all views.
        """
        cards = [ready.member.card for ready in self.ready_members]
        counts = {family: len(v) if self.on_host else 1 for family, v in self.views.items()}
        free = dict.fromkeys(stored, min(costs.values()) * _FREE)
        found = evaluations_of(
            [(card.name, card.family) for card in cards],
            self.joint.family_weights() if self.joint else self.weights.families,
            {**costs, **free},
            counts,
        )
        return [
            replace(e, weight=e.weight * counts[e.family]) if e.member in stored else e
            for e in found
            if e.member not in stored or not e.view
        ]

    def accumulator(self, plan: ExitPlan) -> Accumulator:
        """Return the accumulator of the vote."""
        return accumulator_for(self.terms(_ANY), plan)

    def terms(self, saving: Saving) -> ExitTerms:
        """Return what the images end under."""
        head, voting = self.head, self.recipe.fusion.voting
        return ExitTerms(saving, voting, self.weights, head.classes, head.task, self.joint)

    def lift(self, ready: ReadyMember) -> Lift:
        """Return how a member's heads become a row of scores."""
        if self.joint is not None:
            return lift_of(ready.member.card, self.joint)
        return Lift(len(self.head.classes), (Part(self.head.name, 0),))

    def fingerprint(self, saving: Saving) -> dict[str, object]:
        """Return what decides how images end, but for the plan, which is kept beside it."""
        bare = ExitPlan(tuple(self.evaluations(dict.fromkeys(self.names, 1.0))), 0.0, 0, {})
        terms = self.terms(saving)
        width = accumulator_for(terms, bare).depth * terms.width
        labels = TASKS[self.head.task].labels(len(self.head.classes))
        ends = ["evaluations", "threshold", *(f"label {n}" for n in range(labels))]
        return {
            **self._common(),
            **terms_json(terms),
            "images": self.image_set.sha256,
            "heads": [
                {"name": SUMS, "classes": [str(n) for n in range(width)]},
                {"name": ENDS, "classes": ends},
            ],
        }

    def sample(self, plan: ExitPlan, drawn: Sequence[Hashed]) -> dict[str, object]:
        """Return what decides the scores of the images that are drawn for the calibration."""
        names = sorted(column_of(e) for e in plan.evaluations)
        wide = self.head.classes if self.joint is None else map(str, range(self.joint.width))
        classes = list(wide)
        return {
            **self._common(),
            "images": image_set_of(drawn).sha256,
            "heads": [{"name": name, "classes": classes} for name in names],
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
            "views": self._told_views(),
            **({"joint": columns.to_record(self.joint)} if self.joint else {}),
        }

    def _told_views(self) -> object:
        """Return the views' operations; by family where families have different ones."""
        told = {family: _operations(views) for family, views in sorted(self.views.items())}
        first = next(iter(told.values()))
        return first if all(each == first for each in told.values()) else told

    def key(self, ready: ReadyMember) -> str:
        """Return the key of a member's own predictions of the whole image set."""
        return key_of(self.fingerprints[ready.member.card.name])

    def in_graph(self, ready: ReadyMember) -> dict[str, object]:
        """Return the fingerprint of what a member's own graph gives, without the host's views."""
        told = self.fingerprints[ready.member.card.name]
        return {**told, "views": _operations(ready.policy)}

    def whole(self) -> dict[str, Partition]:
        """Return the members whose own predictions the store has, all of them, by name."""
        found = {}
        for ready in self.ready_members:
            partition = load_partition(self.recipe.resources.store, self.key(ready))
            if partition is not None and all(partition.committed(s) for s in partition.shards):
                found[ready.member.card.name] = partition
        return found


def _operations(views: Sequence[View]) -> list[list[dict[str, object]]]:
    return [[asdict(op) for op in view.ops] for view in views]


def setup_of(
    recipe: Recipe, head: Head, ready_members: Sequence[ReadyMember], image_set: ImageSet
) -> ExitSetup:
    """Gather who takes part.

    Raises:
        UsageError: the members were started with other views in their graphs.
    """
    families = {p.member.card.family for p in ready_members}
    weights = recipe.fusion.weights or Weights(dict.fromkeys(sorted(families), 1.0))
    joint = None
    if recipe.inputs.label_map is not None:
        cards = [p.member.card for p in ready_members]
        joint = joint_vote(cards, recipe.inputs.label_map, recipe.fusion.weights)
        weights = joint.weights
    views = [p.views for p in ready_members]
    on_host = host_views(recipe.scoring.merge, views, [p.member for p in ready_members])
    _check_started(ready_members, on_host=on_host)
    fingerprints = {
        p.member.card.name: fingerprint_of(recipe, p.member, p.views, p.scorer.provider, image_set)
        for p in ready_members
    }
    return ExitSetup(recipe, head, weights, ready_members, on_host, image_set, fingerprints, joint)


def _check_started(ready_members: Sequence[ReadyMember], *, on_host: bool) -> None:
    """Check that the views in the graphs are those of an early exit."""
    wanted = [(IDENTITY,) if on_host else p.views for p in ready_members]
    pairs = zip(ready_members, wanted, strict=True)
    if odd := [p.member.card.name for p, views in pairs if p.policy != views]:
        raise UsageError(
            f"{few(odd)}: the views in the graph are not those of an early exit; start the members "
            f"for one"
        )


@dataclass(frozen=True, slots=True)
class ExitJob:
    """What is to be done: who takes part, and how evaluations are to be saved.

    `began` is when the command began, by `time.monotonic`: a time budget counts from there.
    """

    setup: ExitSetup
    saving: Saving
    began: float
