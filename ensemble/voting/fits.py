"""Whether weights belong to the families, classes and members that are here."""

import math
from collections.abc import Collection, Mapping, Sequence

from ensemble.errors import UsageError, few
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
    check_families(weights, members)
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
