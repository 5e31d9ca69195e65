"""What an early exit is made of: its terms, its evaluations in order, and the names it stores."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, get_args

from ensemble.early_exit import columns
from ensemble.early_exit.stopping.accumulators import accumulator_of
from ensemble.early_exit.stopping.certificate import calibration_size
from ensemble.early_exit.stopping.joint import joint_accumulator
from ensemble.early_exit.stopping.joint_vote import JointVote
from ensemble.early_exit.stopping.order import Evaluation
from ensemble.early_exit.stopping.standing import Accumulator
from ensemble.errors import StoreError
from ensemble.files.atomic import sha256_json
from ensemble.predictions.parsed import choice_of, mapping_of, record_of, texts_of
from ensemble.predictions.store import Partition
from ensemble.recipe.saving import Saving
from ensemble.records import VOTED, Task, Voting
from ensemble.voting import joint_weights, weights
from ensemble.voting.weights import Weights

SUMS: Final = "sums"
"""The column of an early-exit part with an image's sums, float64, L * C of them."""

ENDS: Final = "ends"
"""The column with how many evaluations it took, the threshold it ended at, and its labels.

The threshold is 0 where a budget was spent before the image reached that of its shard.
"""


PLAN: Final = "plan.json"
"""Where a key of an early exit says in which order its evaluations are made."""

_QUARTER: Final = 4
_SAMPLE: Final = 300
"""Images that a budget is calibrated on where nothing is to be certified."""

_FEWEST: Final = 8
"""Images below which the cost of a threshold is a guess; fewer where a budget pays for no more."""

_OTHERS: Final = 1.5
"""Evaluations of each other image that a budget must pay for beside those of a certificate."""

_CLOCK: Final = 2
"""How often a time must suffice for all evaluations to need no calibration: costs are estimates."""


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """What an early exit goes by, found when its key is first opened and read back afterwards.

    `evaluations` are in the order to make them, which depends on measured costs; `noise` is how
    far a score moves with its batch; `calibrated` images get every evaluation; `stored` has the
    keys of the members whose predictions were in the store already, by name.
    """

    evaluations: tuple[Evaluation, ...]
    noise: float
    calibrated: int
    stored: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ExitTerms:
    """What decides how images end, beside the members, the views and the images.

    `joint` is what a label map makes of it, with the same weights; None of a single head.
    """

    saving: Saving
    voting: Voting
    weights: Weights
    classes: tuple[str, ...]
    task: Task
    joint: JointVote | None = None

    @property
    def width(self) -> int:
        """How wide a row of scores is."""
        return self.joint.width if self.joint else len(self.classes)

    @property
    def families(self) -> Mapping[str, float]:
        """What each family weighs, by name."""
        return self.joint.family_weights() if self.joint else self.weights.families


def terms_json(terms: ExitTerms) -> dict[str, object]:
    """Return terms as a fingerprint has them: what the weights were tuned for is not in it."""
    tuned = terms.weights.joint
    return {
        **({"joint": columns.to_record(terms.joint)} if terms.joint else {}),
        "early_exit": asdict(terms.saving),
        "voting": terms.voting,
        "weights": {
            "families": dict(terms.weights.families),
            "pool": terms.weights.pool,
            "temperature": terms.weights.temperature,
            "decision": asdict(terms.weights.decision),
            **({"joint": joint_weights.to_record(tuned)} if tuned else {}),
        },
        "classes": list(terms.classes),
        "task": terms.task,
    }


def terms_of(fingerprint: Mapping[str, object], where: str) -> ExitTerms:
    """Return the terms that a fingerprint has.

    Raises:
        KeyError: it is none of an early exit.
        TypeError: something in it is of another kind.
        UsageError: its weights are none; `where` names it.
        StoreError: its label map is none.
    """
    told = mapping_of(fingerprint["weights"])
    found = weights.from_record({**told, "weights": told["families"], "families": {}}, where)
    joint = fingerprint.get("joint")
    return ExitTerms(
        saving=record_of(Saving, fingerprint["early_exit"]),
        voting=choice_of(fingerprint["voting"], get_args(Voting)),
        weights=found,
        classes=texts_of(fingerprint["classes"]),
        task=choice_of(fingerprint["task"], VOTED),
        joint=None if joint is None else columns.from_record(joint, found),
    )


def accumulator_for(terms: ExitTerms, plan: ExitPlan) -> Accumulator:
    """Return the accumulator of a vote over planned evaluations; see `accumulator_of`."""
    if terms.joint is not None:
        return joint_accumulator(plan.evaluations, terms.joint, plan.noise)
    return accumulator_of(
        plan.evaluations,
        terms.voting,
        terms.weights,
        len(terms.classes),
        noise=plan.noise,
        task=terms.task,
    )


def column_of(evaluation: Evaluation) -> str:
    """Return what an evaluation is called in the calibration's parts."""
    return f"{evaluation.member}/{evaluation.view}"


def calibrated_of(saving: Saving, images: int, evaluations: Sequence[Evaluation]) -> int:
    """Return how many of the images get every evaluation.

    As few as can certify, where a budget pays for these and `_OTHERS` evaluations of each other
    image. Else, or where nothing is to be certified, a few hundred: a quarter of the budget at
    most, or as few as tell anything. None where nothing can end early, or a budget pays for all.
    """
    if saving.rule == "lossless" or len(evaluations) == 1:
        return 0
    if saving.calibration:
        return min(saving.calibration, images)
    wanted = 0
    if saving.epsilon is not None:
        wanted = calibration_size(images, saving.epsilon, saving.confidence)
    return (
        wanted if saving.rule == "certified" else _affordable(saving, images, evaluations, wanted)
    )


def _affordable(saving: Saving, images: int, evaluations: Sequence[Evaluation], wanted: int) -> int:
    """Return how many images a budget calibrates, of those that a certificate wants, or of few."""
    costs, budget, margin = [e.cost for e in evaluations], saving.seconds or 0.0, _CLOCK
    if saving.evaluations is not None:
        costs, budget, margin = [1.0] * len(costs), saving.evaluations * images, 1
    first, each = costs[0], sum(costs)
    if not wanted and budget >= margin * each * images:
        return 0
    if wanted and each * wanted + _OTHERS * first * (images - wanted) <= budget:
        return wanted
    half = math.floor(max(budget - first * images, 0.0) / (each - first)) // 2
    few = min(_SAMPLE, images // _QUARTER, math.floor(budget / each) // _QUARTER, half)
    return max(few, min(_FEWEST, images // _QUARTER, half), 1)


def read_plan(partition: Partition) -> ExitPlan:
    """Read the plan of a key.

    Raises:
        StoreError: it is missing, or was edited.
    """
    path = partition.folder / PLAN
    try:
        record = json.loads(path.read_bytes())
        check = record.pop("check")
        if check == sha256_json(record):
            evaluations = tuple(Evaluation(**e) for e in record["evaluations"])
            return ExitPlan(evaluations, record["noise"], record["calibrated"], record["stored"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read; delete {partition.folder}") from error
    raise StoreError(f"{path} was edited; delete {partition.folder}")
