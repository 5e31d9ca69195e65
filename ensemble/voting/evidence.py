"""What tuning found, as weights.json tells it."""

from collections.abc import Mapping
from typing import TypedDict


class BestSingle(TypedDict):
    """The best family of all, and its score."""

    family: str
    score: float


class HoldoutFit(TypedDict):
    """What fitting the temperature on `n` hold-out rows did to their log-loss."""

    n: int
    log_loss_before: float
    log_loss: float


class CandidateRecord(TypedDict):
    """A blend that competed: its nested score, its gain over the plain mean, the gain's error."""

    blend: str
    score: float
    gain: float
    error: float


class TaskScores(TypedDict):
    """How a task fares: by the mean of its own columns, and by the written blend, nested.

    None where there are none, and without folds.
    """

    uniform: float | None
    nested: float | None


class EvidenceRecord(TypedDict, total=False):
    """What tuning found, as weights.json tells it; docs/weights.md says what each is.

    None where something is not defined. Weights that were not tuned have none of it.
    """

    rescaled: int
    n: int
    folds: int
    singles: dict[str, float]
    best_single: BestSingle
    uniform: float
    apparent: float
    apparent_gain: float
    nested: float | None
    alone: float | None
    candidates: list[CandidateRecord]
    written: str
    corrected: float | None
    gain: float | None
    gain_ci95: list[float] | None
    p: float | None
    verdict: str
    fitted: Mapping[str, object]
    error_correlations: object
    loss_without: Mapping[str, float | None]
    tasks: Mapping[str, TaskScores]
    holdout: HoldoutFit
