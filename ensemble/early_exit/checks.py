"""What refuses an early exit: no meaning, a calibration or a budget that is too small."""

import math
from collections.abc import Sequence
from typing import Final

from ensemble.early_exit.columns import joint_vote
from ensemble.early_exit.plan import ExitPlan
from ensemble.early_exit.stopping.certificate import least_size
from ensemble.early_exit.stopping.joint_vote import why_not_by_task
from ensemble.early_exit.stopping.rules import why_not, why_not_lossless
from ensemble.errors import UsageError
from ensemble.members.card import Card, Head
from ensemble.recipe.resolve import Recipe
from ensemble.recipe.saving import Saving
from ensemble.voting.weights import Weights

_TASKS: Final = (
    "the submission has a class for each task, that of its largest sum over the labels, which "
    "needs every evaluation; an image ends early once its label is known. Ask for labels (--form "
    "label, or a sample with one column), or leave --early-exit out"
)


def check_early_exit(
    recipe: Recipe,
    saving: Saving,
    head: Head,
    cards: Sequence[Card] = (),
    *,
    labels: bool,
    by_task: bool = False,
) -> None:
    """Refuse early exit where it has no meaning, before any work.

    Args:
        recipe: The vote.
        saving: How evaluations are saved.
        head: What is voted on.
        cards: The members', who answer the tasks of a label map.
        labels: Whether labels alone are wanted.
        by_task: Whether a class for each task is wanted.

    Raises:
        UsageError: says why, and what to do instead.
    """
    lossless = saving.rule == "lossless"
    reason = _TASKS if by_task else _why_no_exit(recipe, head, cards, labels=labels)
    if not reason and recipe.inputs.label_map is not None:
        reason = _why_not_joint(recipe, cards, exact=lossless)
    elif not reason and lossless:
        weights = recipe.fusion.weights or Weights({})
        reason = why_not_lossless(
            voting=recipe.fusion.voting,
            pool=weights.pool,
            temperature=weights.temperature,
            decision=weights.decision,
        )
    if reason:
        raise UsageError(f"early exit: {reason}")
    if recipe.scoring.on_nan == "drop-member":
        raise UsageError(
            "early exit: a member that is dropped half-way would change what was decided before; "
            "use --on-nan fail, and leave the member out"
        )


def _why_no_exit(recipe: Recipe, head: Head, cards: Sequence[Card], *, labels: bool) -> str:
    """Return why no image ends early, whatever the rule, with the alternative; else ""."""
    if any(head.ordinal for card in cards for head in card.heads):
        return "a head of thresholds is read when all is known; leave --early-exit out"
    return why_not(
        voting=recipe.fusion.voting,
        pool=recipe.fusion.weights.pool if recipe.fusion.weights else "linear",
        task=head.task,
        labels=labels,
    )


def _why_not_joint(recipe: Recipe, cards: Sequence[Card], *, exact: bool) -> str:
    """Return why no image of several tasks ends early, with the alternative; else ""."""
    label_map, fusion = recipe.inputs.label_map, recipe.fusion
    if fusion.voting != "soft":
        return f"with a label map the {fusion.voting} vote needs every member; use --voting soft"
    if label_map is None or not exact:
        return ""
    return why_not_by_task(joint_vote(cards, label_map, fusion.weights))


def check_calibration(saving: Saving, images: int) -> None:
    """Refuse a calibration that can certify nothing, whatever it finds.

    Raises:
        UsageError: says how many it takes.
    """
    if saving.epsilon is None or not saving.calibration or saving.rule == "budget":
        return
    least = least_size(images, saving.epsilon, saving.confidence)
    if saving.calibration < least:
        raise UsageError(
            f"--calibration {saving.calibration} can certify nothing: {100 * saving.epsilon:g} % "
            f"of {images} images needs {least} or more, or another --early-exit or --confidence"
        )


def check_budget(saving: Saving, plan: ExitPlan, images: int) -> None:
    """Refuse a budget of evaluations that the calibration, and one of each other image, exceed.

    Raises:
        UsageError: says how many it takes.
    """
    if saving.evaluations is None:
        return
    paid = [float(e.member not in plan.stored) for e in plan.evaluations]
    each, calibrated = sum(paid), plan.calibrated
    least = (each * calibrated + paid[0] * (images - calibrated)) / images
    if saving.evaluations < least:
        raise UsageError(
            f"a budget of {saving.evaluations:g} evaluations an image is too small: {calibrated} "
            f"of {images} images are calibrated with all {each:g}, and the others take "
            f"{paid[0]:g} or more; give {math.ceil(100 * least) / 100:g} or more, or a smaller "
            f"--calibration"
        )
