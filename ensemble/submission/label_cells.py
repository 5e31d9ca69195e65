"""Labels in cells: whether they are names of classes or their numbers."""

import difflib
import re
from collections.abc import Sequence
from typing import Final

from ensemble.errors import UsageError, few
from ensemble.records import LabelsAs

_INTEGER: Final = re.compile(r"[+-]?\d+")


def index_labels(
    where: str, filled: Sequence[str], classes: Sequence[str], labels_as: LabelsAs
) -> bool:
    """Decide whether labels are written as indices, from what the sample holds.

    Raises:
        UsageError: the cells are neither classes nor their numbers; names the flag that decides.
    """
    if labels_as != "auto":
        return labels_as == "index"
    if not filled:
        return False
    if not set(filled) <= set(classes) and all(map(is_fraction, filled)):
        raise UsageError(
            f"{where}: the sample holds numbers such as {filled[0]!r}. For probabilities it needs "
            f"a column for each class: {few(classes)}; if labels are meant, say --labels-as index "
            f"or --labels-as name"
        )
    integers = are_integers(filled)
    if integers != are_integers(classes):
        found = "integers" if integers else f"text such as {filled[0]!r}"
        raise UsageError(
            f"{where}: the sample holds {found}, and the classes are {few(classes)}. Say "
            f"--labels-as index (their numbers, from 0) or --labels-as name"
        )
    _check_known(where, filled, classes)
    return False


def _check_known(where: str, filled: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse labels that are no class, with the nearest class; a bare sign, as ?, stands in."""
    odd = sorted(name for name in set(filled) - set(classes) if any(map(str.isalnum, name)))
    if not odd:
        return
    folded = {name.lower(): name for name in classes}
    near = difflib.get_close_matches(odd[0].lower(), list(folded), 1)
    hint = f"did you mean {folded[near[0]]!r}? " if near else ""
    raise UsageError(
        f"{where}: the sample's {few([repr(name) for name in odd])} are no class: {hint}The "
        f"classes are {few(classes)}. If they only stand in, say --labels-as name"
    )


def are_integers(texts: Sequence[str]) -> bool:
    """Tell whether all texts are whole numbers."""
    return all(_INTEGER.fullmatch(text) for text in texts)


def is_fraction(text: str) -> bool:
    """Tell whether a text is a number, and not a whole one."""
    try:
        float(text)
    except ValueError:
        return False
    return not _INTEGER.fullmatch(text)
