"""How evaluations are saved: what the settings of an early exit and of a budget say together."""

import math
from dataclasses import dataclass
from typing import Final, Literal

from ensemble.errors import UsageError
from ensemble.recipe.settings import TABLE
from ensemble.recipe.units import seconds_of, share_of

_LEAST_CONFIDENCE: Final = 0.5
_RULES: Final = "off, lossless or a share such as 0.5%"
_UNCOUNTED: Final = ("off", "lossless")
"""The rules that let no label differ, so that nobody counts those that do."""


@dataclass(frozen=True, slots=True)
class Saving:
    """How evaluations are to be saved, as its texts say.

    `rule` is "lossless", "certified" (at most a share `epsilon` of the labels may differ from the
    full ensemble's, with `confidence`) or "budget" (`seconds` for the command, or `evaluations` an
    image); a budget has an `epsilon` where a certificate is asked for too. `calibration` images
    get every evaluation; 0 lets `epsilon` decide.
    """

    rule: Literal["lossless", "certified", "budget"]
    epsilon: float | None
    confidence: float
    calibration: int
    seconds: float | None = None
    evaluations: float | None = None


def saving_of(
    *,
    early_exit: str,
    confidence: str,
    calibration: int,
    time_budget: str | None,
    evals_per_image: float | None,
) -> Saving | None:
    """Return how evaluations are saved; None where every image gets all of them.

    Raises:
        UsageError: a setting that is no share, time or number, or two that do not go together.
    """
    sure, epsilon = _confidence(confidence), _epsilon(early_exit)
    check_text(time_budget or "", "time_budget", "2h30m")
    seconds = seconds_of(time_budget, "time_budget") if time_budget else None
    budget = _has_budget(seconds, evals_per_image)
    _check_together(early_exit, confidence, calibration, budget=budget)
    if budget:
        return Saving("budget", epsilon, sure, calibration, seconds, evals_per_image)
    if early_exit == "off":
        return None
    return Saving("certified" if epsilon else "lossless", epsilon, sure, calibration)


def _confidence(text: str) -> float:
    confidence = share_of(check_text(text, "confidence", "95%"), "confidence")
    if confidence < _LEAST_CONFIDENCE:
        raise UsageError(f"confidence {text!r}: expected 50% or more")
    return confidence


def _epsilon(text: str) -> float | None:
    """Return the share of the labels that may differ; None where none, or nobody counts them."""
    rule = check_text(text, "early_exit", "off, lossless or 0.5%")
    return None if rule in _UNCOUNTED else share_of(rule, "early_exit", _RULES)


def _check_together(early_exit: str, confidence: str, calibration: int, *, budget: bool) -> None:
    """Refuse a setting that would change nothing, and a rule that a budget would break."""
    certified = early_exit not in _UNCOUNTED
    if confidence != TABLE["confidence"].default and not certified:
        raise UsageError("confidence goes with an early exit such as 0.5%: it is a certificate's")
    if calibration and not certified and not budget:
        raise UsageError("calibration goes with an early exit such as 0.5%, or with a budget")
    if budget and early_exit == "lossless":
        raise UsageError(
            "early_exit lossless keeps every label, and a budget (time_budget, evals_per_image) "
            "does not: leave the budget out, or give early_exit off, which spends no more than "
            "lossless needs, or a share such as 0.5%, which the budget then limits"
        )


def _has_budget(seconds: float | None, evaluations: float | None) -> bool:
    """Check what a budget may be; return whether there is one."""
    if not isinstance(evaluations, int | float | None):
        raise UsageError(f"evals_per_image is a number; found {evaluations!r}")
    if seconds is not None and evaluations is not None:
        raise UsageError("time_budget and evals_per_image are two budgets; give one of them")
    if evaluations is not None and not 1 <= evaluations < math.inf:
        raise UsageError(f"evals_per_image is at least 1; found {evaluations}")
    return seconds is not None or evaluations is not None


def check_text(value: object, name: str, such: str) -> str:
    """Return a setting that is a text; Python may have given it as something else.

    Raises:
        UsageError: it is none; `such` is an example of one.
    """
    if not isinstance(value, str):
        raise UsageError(f"{name} {value!r}: expected a text such as {such}")
    return value
