"""Whether weights belong to the families, classes and members that are here."""

import math
from collections.abc import Collection, Mapping, Sequence

from ensemble.errors import UsageError, few
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.voting.weights import Weights, check_rule


def check_fits(
    weights: Weights, classes: Sequence[str], members: Mapping[str, Sequence[str]]
) -> None:
    """Check that weights belong to these families, classes and members.

    Args:
        weights: The weights.
        classes: The classes of the head, in order.
        members: The hashes of each family's members here; none where nobody knows.

    Raises:
        UsageError: another family, class or member; says which.
    """
    if weights.joint is None:
        check_families(weights, members)
    elif set(weights.members) != set(members):
        raise UsageError(
            f"the weights were tuned for the families {few(sorted(weights.members))}; here are "
            f"{few(sorted(members))}"
        )
    if weights.classes and weights.classes != tuple(classes):
        raise UsageError(
            f"the weights were tuned for the classes {list(weights.classes)[:5]}; here they are "
            f"{list(classes)[:5]}"
        )
    check_rule(weights, classes, "weights")
    for family, hashes in weights.members.items():
        here = set(members.get(family, ()))  # empty for files from elsewhere: they tell no hashes
        if here and here != set(hashes):
            raise UsageError(
                f"the weights were tuned for other members of {family} than these (SHA-256). Tune "
                f"them anew, or say --weights {family}=… to use the numbers all the same"
            )


def check_label_map(weights: Weights | None, label_map: LabelMap | None) -> None:
    """Check that weights were tuned for this label map, or without one for none.

    Raises:
        UsageError: they were not; says what differs.
    """
    if weights is None:
        return
    tuned = weights.joint.label_map if weights.joint else None
    if tuned is None and label_map is not None:
        raise UsageError(
            "the weights know of no label map: tune them by `ensemble tune-weights --label-map`, "
            "or leave out --weights for the product of the tasks' means"
        )
    if tuned is not None and label_map is None:
        raise UsageError(
            f"the weights were tuned for a label map of the tasks {few(tuned.names)}: give it, by "
            f"--label-map"
        )
    if tuned != label_map:
        raise UsageError(
            f"the weights were tuned for another label map: {_differing(tuned, label_map)}"
        )


def _differing(tuned: LabelMap | None, here: LabelMap | None) -> str:
    """Say what differs first between two label maps."""
    if tuned is None or here is None:
        return "one has none"
    for name in ("names", "labels"):
        then, now = getattr(tuned, name), getattr(here, name)
        if then != now:
            return f"its {'tasks' if name == 'names' else name} were {few(then)}, here {few(now)}"
    told = (_differing_task(then, now) for then, now in zip(tuned.tasks, here.tasks, strict=True))
    return next(filter(None, told), "labels stand for other classes")


def _differing_task(tuned: LabelTask, here: LabelTask) -> str:
    """Say what differs first between two tasks of a name; "" where they are alike."""
    for name in ("classes", "cuts", "spread", "merge"):
        was, found = getattr(tuned, name), getattr(here, name)
        if was != found:
            return f"{name} of {tuned.name}: {was or 'none declared'}, here {found or 'none'}"
    return ""


def other_views(weights: Weights, views: Mapping[str, str]) -> str:
    """Say that weights were tuned under other views than these; "" where they were not.

    Args:
        weights: The weights; those that do not know their views are never told of.
        views: The views of each family here and their merge; a family that is not there is unknown.
    """
    for family, tuned in weights.views.items():
        here = views.get(family, tuned)
        if here != tuned:
            return (
                f"the weights were tuned on {family} under the views {tuned}; here they are "
                f"{here}: what they are worth here is not known. Run with those, or tune them on "
                f"`ensemble oof` with these"
            )
    return ""


def check_families(weights: Weights, here: Collection[str]) -> None:
    """Check that there is a usable weight for each family, and none for another.

    Raises:
        UsageError: there is not; says which.
    """
    families = weights.families
    missing, unknown = sorted(set(here) - set(families)), sorted(set(families) - set(here))
    if missing or unknown:
        faults = [f"no weight for {few(missing)}"] * bool(missing)
        faults += [f"no family for {few(unknown)}"] * bool(unknown)
        raise UsageError(
            f"weights bind by family name: {', '.join(faults)}; the families here are "
            f"{few(sorted(here))}"
        )
    wrong = {f: w for f, w in families.items() if not math.isfinite(w) or w < 0}
    if wrong or sum(families.values()) <= 0:
        raise UsageError(
            f"weights must be finite, at least 0, and not all 0; found {wrong or dict(families)}"
        )
