"""What run.json says of an early exit: made by the run, and again by its audit."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices, Pooled, Probs, Vector
from ensemble.early_exit.plan import ExitPlan, ExitTerms
from ensemble.early_exit.stopping.certificate import (
    Certificate,
    calibration_size,
    certify,
    least_size,
)
from ensemble.early_exit.stopping.thresholds import changed, cost_of
from ensemble.early_exit.stopping.trajectory import Trajectory
from ensemble.errors import counted
from ensemble.predictions.store import Partition
from ensemble.recipe.saving import Saving

_SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
_ROUNDING: Final = 1e-6


def certificate_of(
    saving: Saving, trajectory: Trajectory | None, images: int, drawn: int
) -> Certificate | None:
    """Return what the calibration certifies; None where nothing was asked for.

    Args:
        saving: What was asked for.
        trajectory: The calibrated images that have pixels; None where none were drawn.
        images: How many images are predicted in all.
        drawn: How many of them are calibrated.
    """
    if saving.epsilon is None:
        return None
    if trajectory is None:
        return Certificate(images, 0, None, 0, saving.epsilon, saving.confidence, 1.0)
    return certify(trajectory, images, saving.epsilon, saving.confidence, drawn=drawn)


@dataclass(frozen=True, slots=True, eq=False)
class ExitRun:
    """An early exit in the store: its labels, its calibration and its plan, and what these show.

    `trajectory` is how the calibrated images went, and `certificate` what that certifies.
    """

    partition: Partition
    calibration: Partition | None
    plan: ExitPlan
    trajectory: Trajectory | None
    certificate: Certificate | None


def record_of(terms: ExitTerms, run: ExitRun, ends: Probs | Pooled) -> dict[str, object]:
    """Return what run.json says of an early exit.

    Args:
        terms: What it was made under.
        run: What the store has of it.
        ends: How many evaluations each image took, and the threshold it ended at, (N, 2 or more).
    """
    certificate, plan = run.certificate, run.plan
    least = float(ends[:, 1].min(initial=math.inf))
    holds = certificate is not None and least >= certificate.bound
    evaluations = ends[:, 0].astype(np.int64)
    paid = np.array([float(e.member not in plan.stored) for e in plan.evaluations])
    changes = _changes(run.trajectory, ends) if terms.saving.rule == "budget" else None
    mean = float(evaluations.mean()) if len(ends) else 0.0
    summary = _Summary(terms.saving, certificate, changes, least, mean, len(paid))
    return {
        "rule": terms.saving.rule,
        "key": run.partition.key,
        "calibration": run.calibration.key if run.calibration else None,
        "stored": dict(plan.stored),
        "stages": len(paid),
        "evaluations_per_image": mean,
        "certificate": asdict(certificate) if certificate and holds else None,
        "changes": changes,
        "task": terms.task,
        "words": f"{describe_spent(evaluations, paid)} an image; {_words(summary, holds=holds)}",
    }


def unlike(found: Mapping[str, object], told: Mapping[str, object]) -> list[str]:
    """Hold what run.json tells against what was found, name by name."""
    return [
        f"run.json has {name} {told.get(name)!r}; expected {value!r}"
        for name, value in found.items()
        if not _alike(value, told.get(name))
    ]


def _alike(found: object, told: object) -> bool:
    """Tell whether values of JSON are the same; floats but for the rounding of another machine."""
    if isinstance(found, dict) and isinstance(told, dict):
        same = found.keys() == told.keys()
        return same and all(_alike(value, told[name]) for name, value in found.items())
    if isinstance(found, float) and isinstance(told, int | float):
        return math.isclose(found, told, rel_tol=_ROUNDING)
    return found == told


def _changes(trajectory: Trajectory | None, ends: Probs | Pooled) -> dict[str, int] | None:
    """Return how many labels of the calibrated images a budget would change, and of how many."""
    images = trajectory.z.shape[1] if trajectory else 0
    if trajectory is None or not images:
        return None
    others = ends[np.argsort(-ends[:, 1], kind="stable")[images:]]
    share = changed(trajectory, others[:, 0].astype(np.int64), others[:, 1].astype(np.float64))
    return {"images": images, "changed": round(share * images)}


def describe_spent(evaluations: Indices, paid: Vector) -> str:
    """Say how many evaluations (n,) images took on average; `paid` (K,) is 0 for stored ones."""
    count, stages = max(len(evaluations), 1), len(paid)
    computed, mean = cost_of(evaluations, paid) / count, float(evaluations.sum()) / count
    if paid.all():
        return f"{mean:.2f} of {stages} evaluations"
    stored = f"{mean - computed:.2f}".rstrip("0").rstrip(".")
    return f"{computed:.2f} computed and {stored} from the store, of {stages} evaluations"


def describe_changes(changes: int, images: int, what: str) -> str:
    """Say how many labels a budget or a threshold would change, of images that got all."""
    return (
        f"of {counted(images, 'image')} that got all evaluations, this {what} would change "
        f"{counted(changes, 'label')} ({100 * changes / images:.3g} %)"
    )


@dataclass(frozen=True, slots=True)
class _Summary:
    """How a run went: `least` is the smallest threshold used, `mean` evaluations of `stages`."""

    saving: Saving
    certificate: Certificate | None
    changes: Mapping[str, int] | None
    least: float
    mean: float
    stages: int


def _words(summary: _Summary, *, holds: bool) -> str:
    """Say what is certain about the labels."""
    certificate = summary.certificate
    if math.isinf(summary.least):
        return "every label is the full ensemble's" + _why_lossless(summary)
    if holds:
        return str(certificate)
    told = summary.changes
    known = describe_changes(told["changed"], told["images"], "budget") if told else (
        "how many labels that changes is not known"
    )  # fmt: skip
    if certificate is None:
        why = "the budget decided, and nothing is certified: --early-exit 0.5% asks for that"
        return f"{known}; {why}"
    return f"{known}; {_why_uncertified(summary.saving, certificate)}, so nothing is certified"


def _why_uncertified(saving: Saving, certificate: Certificate) -> str:
    """Say what kept a budget from a certificate."""
    least = least_size(certificate.images, certificate.epsilon, certificate.confidence)
    share = f"{100 * certificate.epsilon:.3g} %"
    if certificate.calibrated >= least:
        return f"the budget ended images earlier than a certificate for {share} allows"
    paid = "--calibration gave" if saving.calibration else "the budget paid for"
    if not saving.calibration and not calibration_size(
        certificate.images, certificate.epsilon, certificate.confidence
    ):
        return f"{certificate.images} images are too few for {share}, which needs {least} of them"
    return f"{paid} {certificate.calibrated} calibration images, and {share} needs {least}"


def _why_lossless(summary: _Summary) -> str:
    """Say why only the lossless rule ended images though a certificate was asked for."""
    certificate = summary.certificate
    if summary.stages == 1:
        return ": of one evaluation, none can be left out"
    if certificate is None or certificate.threshold is not None:
        return ""
    images, share = certificate.images, f"{100 * certificate.epsilon:.3g} %"
    least = least_size(images, certificate.epsilon, certificate.confidence)
    if certificate.calibrated >= least:
        return f": {certificate}, so lossless was used"
    if _cheaper(summary, images, least):
        advice = f"--calibration {least} may take fewer evaluations"
    else:
        advice = _bolder(summary, certificate)
    told = f"{images} images are too few for {share}, so lossless was used"
    return ": " + "; ".join(filter(None, (told, advice)))


def _cheaper(summary: _Summary, images: int, calibrated: int) -> bool:
    """Tell whether so many calibrated images, and one evaluation of each other, cost less."""
    return calibrated * summary.stages + images - calibrated < images * summary.mean


def _bolder(summary: _Summary, certificate: Certificate) -> str:
    """Name the least share that so few images may be certified for, if any."""
    for share in _SHARES:
        size = calibration_size(certificate.images, share, certificate.confidence)
        if share > certificate.epsilon and size and _cheaper(summary, certificate.images, size):
            return f"try {100 * share:g}%"
    return ""
