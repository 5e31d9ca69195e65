"""What an early exit is made of: its evaluations, their order, and the keys of what it stores."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ensemble.config import Saving
from ensemble.errors import StoreError
from ensemble.exits.certificate import calibration_size
from ensemble.exits.ledgers import Ledger
from ensemble.exits.order import Evaluation
from ensemble.exits.plan import ledger_of
from ensemble.files import sha256_json
from ensemble.spec import Task, Voting
from ensemble.store import Partition
from ensemble.weights import Weights

SUMS: Final = "sums"
"""The column of an early-exit part with an image's sums, float64, L * C of them."""

ENDS: Final = "ends"
"""The column with how many evaluations it took, the threshold it ended at, and its labels."""


PLAN: Final = "plan.json"
"""Where a key of an early exit says in which order its evaluations are made."""

_QUARTER: Final = 4
_SAMPLE: Final = 300
"""Images that a budget is calibrated on where nothing is to be certified."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an early exit goes by, found when its key is first opened and read back afterwards.

    `evaluations` are in the order to make them, which depends on measured costs; `noise` is how
    far a score moves with its batch; `calibrated` images get every evaluation; `stored` has the
    keys of the members whose predictions were in the store already, by name.
    """

    evaluations: tuple[Evaluation, ...]
    noise: float
    calibrated: int
    stored: Mapping[str, str]


def ledger_for(voting: Voting, weights: Weights, plan: Plan, *, classes: int, task: Task) -> Ledger:
    """Return the ledger of a vote over planned evaluations; see `exits.plan.ledger_of`."""
    return ledger_of(plan.evaluations, voting, weights, classes, noise=plan.noise, task=task)


def column_of(evaluation: Evaluation) -> str:
    """Return what an evaluation is called in the calibration's parts."""
    return f"{evaluation.member}/{evaluation.view}"


def calibrated_of(saving: Saving, images: int, evaluations: Sequence[Evaluation]) -> int:
    """Return how many of the images get every evaluation.

    As few as can certify; where that takes over half of a budget, or nothing is to be certified, a
    few hundred, and a quarter of the budget at most.
    """
    if saving.rule == "lossless":
        return 0
    if saving.calibration:
        return min(saving.calibration, images)
    wanted = 0
    if saving.epsilon is not None:
        wanted = calibration_size(images, saving.epsilon, saving.confidence)
    if saving.rule == "certified":
        return wanted
    affordable = images
    if saving.evaluations is not None:
        affordable = math.floor(saving.evaluations * images / len(evaluations))
    elif saving.seconds is not None:
        affordable = math.floor(saving.seconds / sum(e.cost for e in evaluations))
    if wanted and wanted <= affordable // 2:
        return wanted
    return max(1, min(_SAMPLE, images // _QUARTER, affordable // _QUARTER))


def read_plan(partition: Partition) -> Plan:
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
            return Plan(evaluations, record["noise"], record["calibrated"], record["stored"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read; delete {partition.folder}") from error
    raise StoreError(f"{path} was edited; delete {partition.folder}")
