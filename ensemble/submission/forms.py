"""What one column of a sample asks for, told by its name and cells, or refused with the flag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from ensemble.errors import UsageError, few
from ensemble.records import TASKS, LabelsAs, Output, SampleForm, Task
from ensemble.submission.label_cells import are_integers, index_labels, is_fraction

Kind: TypeAlias = Literal["label", "probs", "binary", "list", "top", "tasks"]

_POSITIVE: Final = (
    ("0", "1"), ("-1", "1"), ("no", "yes"), ("n", "y"), ("false", "true"), ("neg", "pos"),
    ("negative", "positive"),
)  # fmt: skip
"""Names of two classes that tell which is the positive one: the second."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What flags and the head say of a submission: how its columns are to be read.

    `positive` is the class whose probability one column holds; `top` is how many labels a cell
    holds, and 0 lets the sample say; `rounding` is "auto", "off", "nearest" or cuts. `form` "auto"
    lets the sample say. `tasks` are those that may be asked for, by name: the classes of each, none
    of one that is a value.
    """

    task: Task = "classification"
    output: Output = "auto"
    labels_as: LabelsAs = "auto"
    positive: str | None = None
    top: int = 0
    rounding: str = "auto"
    form: SampleForm = "auto"
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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
    if not TASKS[wanted.task].single:
        return _form_of_values(where, filled, classes, wanted)
    if _is_probability(where, column, filled, classes, wanted):
        return Form("probs", (positive_of(where, column, classes, wanted.positive),))
    if wanted.positive is not None:
        raise UsageError(
            f"--positive {wanted.positive}: {where} holds labels; say --output probs, if it is to "
            f"hold the probability of one of two classes"
        )
    several = wanted.form == "auto" and _hold_several(filled, classes)
    if wanted.top or several or wanted.form == "list":
        return _form_of_top(where, filled, classes, wanted)
    return Form("label", index_labels=index_labels(where, filled, classes, wanted.labels_as))


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


def _form_of_values(
    where: str, filled: Sequence[str], classes: Sequence[str], wanted: Wanted
) -> Form:
    """Return the form of one column of a head whose classes are labels or values of their own."""
    if len(classes) == 1:
        return Form("probs", tuple(classes))
    if TASKS[wanted.task].several:
        return _form_of_list(where, filled, classes, wanted)
    raise UsageError(
        f"{where}: one column, and the head has {len(classes)} values: a column is needed for "
        f"each of {few(classes)}"
    )


def _is_probability(
    where: str, column: str, filled: Sequence[str], classes: Sequence[str], wanted: Wanted
) -> bool:
    """Tell whether one column of a head with two classes asks for a probability."""
    if len(classes) != len(_POSITIVE[0]):
        return False
    said = _said_probability(wanted)
    if said is not None:
        return said
    if column in classes or wanted.positive is not None:
        return True
    if set(filled) == {"0"} and set(filled) <= set(classes):
        raise UsageError(
            f"{where} holds 0 alone, which may be a label or a probability: say --output labels or "
            f"--output probs"
        )
    return _are_fractions(filled) and not set(filled) <= set(classes)


def _said_probability(wanted: Wanted) -> bool | None:
    """Tell whether a flag says that a column holds a probability; None where none says anything."""
    if wanted.form != "auto":
        return wanted.form == "wide"
    if wanted.output != "auto":
        return wanted.output == "probs"
    return None if wanted.labels_as == "auto" else False


def _are_fractions(filled: Sequence[str]) -> bool:
    """Tell whether cells are numbers, and not all of them whole."""
    numbers = all(is_fraction(cell) or are_integers([cell]) for cell in filled)
    return numbers and any(map(is_fraction, filled))


def _hold_several(filled: Sequence[str], classes: Sequence[str]) -> bool:
    """Tell whether cells hold several labels, with spaces between them."""
    several = [cell for cell in filled if cell not in classes and len(cell.split()) > 1]
    named = all(set(cell.split()) <= set(classes) for cell in several)
    return bool(several) and (named or all(are_integers(cell.split()) for cell in several))


def _form_of_top(where: str, filled: Sequence[str], classes: Sequence[str], wanted: Wanted) -> Form:
    """Return the form of the k best labels a cell."""
    found = sorted({len(cell.split()) for cell in filled})
    if not wanted.top and len(found) != 1:
        raise UsageError(
            f"{where}: cells hold {few(found) or 'no'} labels; say by --top how many are to be "
            f"written"
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
    return index_labels(where, tokens, classes, labels_as)


def _check_spaces(where: str, classes: Sequence[str], *, index: bool) -> None:
    spaced = [name for name in classes if len(name.split()) != 1]
    if spaced and not index:
        raise UsageError(
            f"{where}: labels stand in a cell with spaces between them, and {few(spaced)} have "
            f"spaces in their names; say --labels-as index"
        )
