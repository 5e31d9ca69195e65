"""What a submission says of classes, as their scores: its probabilities, or 0 and 1 of labels."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.files.text_table import TableSource
from ensemble.reports.submitted import Submitted, sums_to_one
from ensemble.voting.decision import order_of

_HANDFUL: Final = 5
"""How many classes may be known to one side alone, whatever their share."""

_ODD_SHARE: Final = 0.1


def check_labels(
    submission: TableSource, said: set[str], labels: TableSource, known: set[str]
) -> None:
    """Check that a column holds labels: a few may be classes that no row of the truth shows.

    Args:
        submission: The table, in messages.
        said: What it says, each once.
        labels: The table of the truth, in messages.
        known: The labels there.

    Raises:
        UsageError: none of them is known, or more than a handful and a tenth of them are not.
    """
    unknown = sorted(said - known)
    if len(unknown) < len(said) and len(unknown) <= max(_HANDFUL, _ODD_SHARE * len(known)):
        return
    raise UsageError(
        f"{submission}: {len(unknown)} of its {len(said)} labels are none of {labels}: "
        f"{few(unknown)}; the labels there are {few(sorted(known))}. Numbers of classes? Write "
        f"names, by --labels-as name. Probabilities or values? Say --task multilabel or regression"
    )


def class_scores(
    given: Submitted, known: set[str], labels: TableSource
) -> tuple[Pooled, tuple[str, ...]]:
    """Return the scores of classes, float64 (N, C) from 0 on, and the classes.

    Of labels they are 0 and 1, for the classes that are known and those that are said.

    Args:
        given: The submission.
        known: The classes that are known.
        labels: The table of the truth, in messages.

    Raises:
        UsageError: probabilities that are none, or columns of something else beside them.
    """
    if not given.has_labels:
        _check_columns(given, known, labels)
        return _probabilities(given), given.columns
    said = given.labels()
    classes = tuple(sorted(known | set(said)))
    place = {name: number for number, name in enumerate(classes)}
    return np.eye(len(classes))[[place[name] for name in said]], classes


def _check_columns(given: Submitted, known: set[str], labels: TableSource) -> None:
    """Refuse columns that are no class where the others are probabilities without them."""
    unknown = [name for name in given.columns if name not in known]
    rest = [name for name in given.columns if name in known]
    if unknown and sums_to_one(given, rest) and not sums_to_one(given, given.columns):
        raise UsageError(
            f"{given.path}: the columns {few(unknown)} are no labels of {labels}, and without them "
            f"the rows sum to 1: leave them out"
        )


def _probabilities(given: Submitted) -> Pooled:
    probs = given.probabilities()
    if (probs < 0).any() or (probs.sum(1) <= 0).any():
        raise UsageError(f"{given.path}: probabilities are at least 0, and not all 0 in a row")
    return probs


def in_order(
    given: Pooled, classes: tuple[str, ...], said: Sequence[str]
) -> tuple[Pooled, tuple[str, ...]]:
    """Put classes in the order that is said, or in that of their numbers; others stay.

    A class that is said and not given has no probability.

    Raises:
        UsageError: a class is given that is none of those said.
    """
    if not said:
        order = order_of(classes)
        return (given[:, order], tuple(classes[c] for c in order)) if order else (given, classes)
    if odd := sorted(set(classes) - set(said)):
        raise UsageError(f"{few(odd)}: none of --classes {few(said)}")
    found = np.zeros((len(given), len(said)))
    found[:, [list(said).index(name) for name in classes]] = given
    return found, tuple(said)


def absent_grades(y: Indices, classes: Sequence[str]) -> tuple[str, ...]:
    """Tell which grades between the least and the largest no class is, or no row shows."""
    numbers = sorted(int(classes[place]) for place in order_of(classes))
    seen = {int(classes[place]) for place in np.unique(y)} if numbers else set()
    absent = [n for n in range(numbers[0], numbers[-1] + 1) if n not in seen] if numbers else []
    if not absent or len(absent) > len(numbers) + _HANDFUL:
        return ()
    return (f"no row is labelled {few(absent)}: qwk goes by the numbers, so that it changes "
            f"nothing; means over classes are left out where a class has no row",)  # fmt: skip
