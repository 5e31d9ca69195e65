"""What the columns of a sample ask for, told by their names and cells, or refused with the flag."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ensemble.errors import UsageError, few
from ensemble.records import TASKS, LabelsAs, Output, Task

Kind: TypeAlias = Literal["label", "probs", "binary", "list", "top"]

_INTEGER: Final = re.compile(r"[+-]?\d+")

_POSITIVE: Final = (
    ("0", "1"), ("-1", "1"), ("no", "yes"), ("n", "y"), ("false", "true"), ("neg", "pos"),
    ("negative", "positive"),
)  # fmt: skip
"""Names of two classes that tell which is the positive one: the second."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What flags and the head say of a submission: how its columns are to be read.

    `positive` is the class whose probability one column holds; `top` is how many labels a cell
    holds, and 0 lets the sample say; `rounding` is "auto", "off", "nearest" or cuts.
    """

    task: Task = "classification"
    output: Output = "auto"
    labels_as: LabelsAs = "auto"
    positive: str | None = None
    top: int = 0
    rounding: str = "auto"


@dataclass(frozen=True, slots=True)
class Form:
    """What a submission holds: `of` are the classes of its columns, in their order.

    `index_labels` tells whether labels are written as class indices; `top` how many a cell holds.
    """

    kind: Kind
    of: tuple[str, ...] = ()
    index_labels: bool = False
    top: int = 0


def form_of_column(
    where: str, column: str, cells: Sequence[str], classes: Sequence[str], wanted: Wanted
) -> Form:
    """Return what one column beside the id asks for.

    Args:
        where: The sample and its column, in messages.
        column: The name of the column.
        cells: What it holds.
        classes: The classes of the head, in order.
        wanted: What flags and the head say.

    Raises:
        UsageError: labels that are no class, or what fits two forms; names the flag that decides.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not TASKS[wanted.task].single and len(classes) == 1:
        return Form("probs", tuple(classes))
    if TASKS[wanted.task].several:
        return _form_of_list(where, filled, classes, wanted)
    if not TASKS[wanted.task].single:
        raise UsageError(
            f"{where}: one column, and the head has {len(classes)} values: a column is needed for "
            f"each of {few(classes)}"
        )
    if len(classes) == len(_POSITIVE[0]) and _is_probability(
        where, column, filled, classes, wanted
    ):
        return Form("probs", (positive_of(where, column, classes, wanted.positive),))
    if wanted.positive is not None:
        raise UsageError(
            f"--positive {wanted.positive}: {where} holds labels; say --output probs, if it is to "
            f"hold the probability of one of two classes"
        )
    if wanted.top or _hold_several(filled, classes):
        return _form_of_top(where, filled, classes, wanted)
    return Form("label", index_labels=_index_labels(where, filled, classes, wanted.labels_as))


def positive_of(where: str, column: str, classes: Sequence[str], said: str | None) -> str:
    """Return the class whose probability one column holds: said, its own name, or by the names.

    Raises:
        UsageError: what is said is no class, or nothing tells.
    """
    if said is not None and said not in classes:
        raise UsageError(f"--positive {said}: no class; the classes are {few(classes)}")
    if said is not None or column in classes:
        return said or column
    lower = {name.lower(): name for name in classes}
    for pair in _POSITIVE:
        if set(pair) == set(lower):
            return lower[pair[1]]
    raise UsageError(
        f"{where} asks for the probability of one of {few(classes)}: say which by --positive NAME"
    )


def _is_probability(
    where: str, column: str, filled: Sequence[str], classes: Sequence[str], wanted: Wanted
) -> bool:
    """Tell whether one column of a head with two classes asks for a probability."""
    if wanted.output != "auto":
        return wanted.output == "probs"
    if wanted.labels_as != "auto":
        return False
    if column in classes or wanted.positive is not None:
        return True
    if set(filled) == {"0"} and set(filled) <= set(classes):
        raise UsageError(
            f"{where} holds 0 alone, which may be a label or a probability: say --output labels or "
            f"--output probs"
        )
    numbers = all(_is_fraction(cell) or _INTEGER.fullmatch(cell) for cell in filled)
    return numbers and any(map(_is_fraction, filled)) and not set(filled) <= set(classes)


def _hold_several(filled: Sequence[str], classes: Sequence[str]) -> bool:
    """Tell whether cells hold several labels, with spaces between them."""
    several = [cell for cell in filled if cell not in classes and len(cell.split()) > 1]
    named = all(set(cell.split()) <= set(classes) for cell in several)
    return bool(several) and (named or all(_are_integers(cell.split()) for cell in several))


def _form_of_top(where: str, filled: Sequence[str], classes: Sequence[str], wanted: Wanted) -> Form:
    """Return the form of the k best labels a cell."""
    found = sorted({len(cell.split()) for cell in filled})
    if not wanted.top and len(found) != 1:
        raise UsageError(
            f"{where}: cells hold {few(found)} labels; say by --top how many are to be written"
        )
    top = wanted.top or found[0]
    if top > len(classes):
        raise UsageError(f"--top {top}: there are {len(classes)} classes")
    index = _index_of_tokens(where, filled, classes, wanted.labels_as)
    _check_spaces(where, classes, index=index)
    return Form("top", index_labels=index, top=top)


def _form_of_list(
    where: str, filled: Sequence[str], classes: Sequence[str], wanted: Wanted
) -> Form:
    """Return the form of a multilabel head's labels in one cell."""
    index = _index_of_tokens(where, filled, classes, wanted.labels_as)
    _check_spaces(where, classes, index=index)
    return Form("top" if wanted.top else "list", index_labels=index, top=wanted.top)


def _index_of_tokens(
    where: str, filled: Sequence[str], classes: Sequence[str], labels_as: LabelsAs
) -> bool:
    tokens = [token for cell in filled for token in cell.split()]
    return _index_labels(where, tokens, classes, labels_as)


def _check_spaces(where: str, classes: Sequence[str], *, index: bool) -> None:
    spaced = [name for name in classes if len(name.split()) != 1]
    if spaced and not index:
        raise UsageError(
            f"{where}: labels stand in a cell with spaces between them, and {few(spaced)} have "
            f"spaces in their names; say --labels-as index"
        )


def _index_labels(
    where: str, filled: Sequence[str], classes: Sequence[str], labels_as: LabelsAs
) -> bool:
    """Decide whether labels are written as indices, from what the sample holds."""
    if labels_as != "auto":
        return labels_as == "index"
    if not filled:
        return False
    if not set(filled) <= set(classes) and all(map(_is_fraction, filled)):
        raise UsageError(
            f"{where}: the sample holds numbers such as {filled[0]!r}. For probabilities it needs "
            f"a column for each class: {few(classes)}; if labels are meant, say --labels-as index "
            f"or --labels-as name"
        )
    integers = _are_integers(filled)
    if integers != _are_integers(classes):
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


def _are_integers(texts: Sequence[str]) -> bool:
    return all(_INTEGER.fullmatch(text) for text in texts)


def _is_fraction(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not _INTEGER.fullmatch(text)
