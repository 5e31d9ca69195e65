"""A recipe checked, and what its texts say: shares, times and numbers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ensemble.errors import UsageError
from ensemble.files.paths import check_utf8
from ensemble.recipe.settings import CONFIDENCE, Recipe, settings_of
from ensemble.recipe.units import bytes_of, seconds_of, share_of
from ensemble.records import (
    Alpha,
    Exif,
    IdFrom,
    LabelsAs,
    Merge,
    OnNan,
    Output,
    Precision,
    Voting,
    check_choice,
)

_LEAST_CONFIDENCE: Final = 0.5

_LEAST_MEMORY: Final = 2**20

_RULES: Final = "off, lossless or a share such as 0.5%"


@dataclass(frozen=True, slots=True)
class Saving:
    """How evaluations are to be saved, read from a recipe.

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


def check_recipe(recipe: Recipe) -> None:
    """Check the values that have a list or a range, and that every text can be written down.

    Raises:
        UsageError: names the setting, what it may be and what it is.
    """
    check_utf8(str(Path.cwd()), "the working folder")
    for name, value in settings_of(recipe).items():
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                check_utf8(text, name)
    choices = {"merge": Merge, "voting": Voting, "output": Output, "id_from": IdFrom,
               "labels_as": LabelsAs, "on_nan": OnNan, "precision": Precision}  # fmt: skip
    for name, known in choices.items():
        check_choice(name, getattr(recipe, name), known)
    check_choice("exif", recipe.decode.exif, Exif)
    check_choice("alpha", recipe.decode.alpha, Alpha)
    if recipe.batch_size != "auto":
        _check_whole("batch_size", recipe.batch_size, 1)
    _check_whole("max_pixels", recipe.decode.max_pixels, 1)
    for name in ("shard_size", "threads", "calibration"):
        _check_whole(name, getattr(recipe, name), 0)
    _check_memory(_text(recipe.memory, "memory", "2G"))
    saving_of(recipe)


def saving_of(recipe: Recipe) -> Saving | None:
    """Return how a recipe saves evaluations; None where every image gets all of them.

    Raises:
        UsageError: a setting that is no share, time or number, or two that do not go together.
    """
    confidence = share_of(_text(recipe.confidence, "confidence", "95%"), "confidence")
    if confidence < _LEAST_CONFIDENCE:
        raise UsageError(f"confidence {recipe.confidence!r}: expected 50% or more")
    rule = _text(recipe.early_exit, "early_exit", "off, lossless or 0.5%")
    epsilon = None if rule in ("off", "lossless") else share_of(rule, "early_exit", _RULES)
    _text(recipe.time_budget or "", "time_budget", "2h30m")
    seconds = seconds_of(recipe.time_budget, "time_budget") if recipe.time_budget else None
    evaluations = recipe.evals_per_image
    if not isinstance(evaluations, int | float | None):
        raise UsageError(f"evals_per_image is a number; found {evaluations!r}")
    budget = seconds is not None or evaluations is not None
    if seconds is not None and evaluations is not None:
        raise UsageError("time_budget and evals_per_image are two budgets; give one of them")
    if evaluations is not None and not 1 <= evaluations < math.inf:
        raise UsageError(f"evals_per_image is at least 1; found {evaluations}")
    if recipe.confidence != CONFIDENCE and epsilon is None:
        raise UsageError("confidence goes with an early exit such as 0.5%: it is a certificate's")
    if recipe.calibration and epsilon is None and not budget:
        raise UsageError("calibration goes with an early exit such as 0.5%, or with a budget")
    if budget and rule == "lossless":
        raise UsageError(
            "early_exit lossless keeps every label, and a budget (time_budget, evals_per_image) "
            "does not: leave the budget out, or give early_exit off, which spends no more than "
            "lossless needs, or a share such as 0.5%, which the budget then limits"
        )
    if budget:
        return Saving("budget", epsilon, confidence, recipe.calibration, seconds, evaluations)
    if rule == "off":
        return None
    named: Literal["lossless", "certified"] = "certified" if epsilon else "lossless"
    return Saving(named, epsilon, confidence, recipe.calibration)


def exit_told(recipe: Recipe) -> str:
    """Say in words how a recipe saves evaluations, as "0.5%, 2h30m"; "" where it saves none."""
    saving = saving_of(recipe)
    if saving is None:
        return ""
    words = ["lossless"] * (saving.rule == "lossless")
    words += [f"{100 * saving.epsilon:.6g}%"] if saving.epsilon else []
    words += [f"{saving.evaluations:.6g} evaluations"] if saving.evaluations else []
    words += [recipe.time_budget.strip()] if recipe.time_budget else []
    return ", ".join(words)


def _check_memory(text: str) -> None:
    """Check that memory holds an image or more: a bare number is bytes, and seldom meant so."""
    if bytes_of(text, "memory") < _LEAST_MEMORY:
        hint = f"; did you mean {text.strip()}G?" if text.strip().isdecimal() else ""
        raise UsageError(f"memory {text!r}: expected 1M or more{hint}")


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        auto = "auto or " if name == "batch_size" else ""
        raise UsageError(f"{name} {value!r}: expected {auto}a whole number from {least} on")


def _text(value: object, name: str, such: str) -> str:
    """Return a setting that is a text; Python may have given it as something else."""
    if not isinstance(value, str):
        raise UsageError(f"{name} {value!r}: expected a text such as {such}")
    return value
