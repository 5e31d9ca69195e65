"""What run.json says of an early exit: made by the run, and again by its audit."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from ensemble.arrays import Pooled, Probs
from ensemble.config import Saving
from ensemble.exitplan import Plan, Terms
from ensemble.exits.certificate import Certificate, certify
from ensemble.exits.course import Course

_ROUNDING: Final = 1e-6


def certificate_of(
    saving: Saving, course: Course | None, images: int, drawn: int
) -> Certificate | None:
    """Return what the calibration certifies; None where nothing was asked for.

    Args:
        saving: What was asked for.
        course: The calibrated images that have pixels; None where none were drawn.
        images: How many images are predicted in all.
        drawn: How many of them are calibrated.
    """
    if saving.epsilon is None:
        return None
    if course is None:
        return Certificate(images, 0, None, 0, saving.epsilon, saving.confidence, 1.0)
    return certify(course, images, saving.epsilon, saving.confidence, drawn=drawn)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an early exit: the keys of its labels and its calibration, and the plan."""

    key: str
    calibration: str | None
    plan: Plan


def record_of(
    terms: Terms, kept: Kept, certificate: Certificate | None, ends: Probs | Pooled
) -> dict[str, object]:
    """Return what run.json says of an early exit.

    Args:
        terms: What it was made under.
        kept: What is kept of it.
        certificate: What the calibration certifies.
        ends: How many evaluations each image took, and the threshold it ended at, (N, 2 or more).
    """
    least = float(ends[:, 1].min(initial=math.inf))
    holds = certificate is not None and least >= certificate.bound
    mean = float(ends[:, 0].mean()) if len(ends) else 0.0
    stages = len(kept.plan.evaluations)
    words = _words(certificate, holds=holds, least=least)
    return {
        "rule": terms.saving.rule,
        "key": kept.key,
        "calibration": kept.calibration,
        "stored": dict(kept.plan.stored),
        "stages": stages,
        "evaluations_per_image": mean,
        "certificate": asdict(certificate) if certificate and holds else None,
        "task": terms.task,
        "words": f"{mean:.2f} of {stages} evaluations an image; {words}",
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


def _words(certificate: Certificate | None, *, holds: bool, least: float) -> str:
    """Say what is certain about the labels; `least` is the smallest threshold that was used."""
    uncertified = certificate is not None and certificate.threshold is None
    if math.isinf(least):
        return "every label is the full ensemble's" + (f" ({certificate})" if uncertified else "")
    if certificate is None:
        return "the budget decided, and nothing is certified: --early-exit 0.5% asks for that"
    if not holds:
        return (
            f"the budget ended images earlier than a certificate for "
            f"{100 * certificate.epsilon:.3g} % allows, so nothing is certified"
        )
    return str(certificate)
