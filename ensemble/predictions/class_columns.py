"""Which columns of a foreign table are the predictions: declared, or told by what they hold."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.files.columns import is_beside, is_index
from ensemble.predictions.row_values import sum_to_one
from ensemble.records import TASKS, Task

Column: TypeAlias = NDArray[np.float64] | None
"""What a column holds, (N,); None where it holds no numbers."""

BINARY: Final = ("0", "1")
"""What the classes of one column of probabilities are called, where nobody names them."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The predictions of a table: C names, float64 (N, C), and what a person should know."""

    classes: tuple[str, ...]
    probs: Pooled
    notes: tuple[str, ...] = ()


def choose(where: object, columns: Mapping[str, Column], told: Sequence[str], task: Task) -> Chosen:
    """Take the predictions out of the columns that are neither the id nor the fold.

    Args:
        where: The table, in messages.
        columns: The columns by name, each of N numbers, or None where it holds none.
        told: What `--classes` names; empty where nothing is said.
        task: What the table predicts.

    Raises:
        UsageError: a column that has no known role, or that may be the truth as well as a
            prediction; names it.
    """
    beside = [name for name in columns if _ignored(name, columns, told, task)]
    rest = _without(columns, beside)
    _check_known(where, rest, columns, told)
    notes = [f"{where}: the columns {few(beside)} are no class, and left out"] * bool(beside)
    if not rest:
        raise UsageError(
            f"{where}: expected an id column, classes and rows; no column is of predictions: it "
            f"has {few(list(columns)) or 'none'} beside the id"
        )
    values = np.stack([_numbers(columns[name]) for name in rest], axis=1)
    if TASKS[task].single and len(rest) == 1:
        return _binary(where, rest[0], values[:, 0], told, notes)
    return Chosen(tuple(rest), values, tuple(notes))


def _ignored(name: str, columns: Mapping[str, Column], told: Sequence[str], task: Task) -> bool:
    """Tell whether a column has a known role, and is no prediction."""
    if name in told:
        return False
    if is_index(name):
        return True
    if not is_beside(name):
        return False
    if columns[name] is None or _all_in(told, columns):
        return True
    return TASKS[task].single and _are_classes_without(name, columns)


def _are_classes_without(name: str, columns: Mapping[str, Column]) -> bool:
    """Tell whether the other columns, which are not beside any, are classes only without this."""
    others = [each for each in columns if each != name and not is_beside(each)]
    if not others or _are_classes([*others, name], columns):
        return False
    return _are_classes(others, columns)


def _check_known(
    where: object, rest: Sequence[str], columns: Mapping[str, Column], told: Sequence[str]
) -> None:
    """Refuse columns of which nobody can say what they are."""
    texts = [name for name in rest if columns[name] is None]
    if texts:
        raise UsageError(
            f"{where}: predictions are numbers, and the columns {few(texts)} hold none: leave them "
            f"out, or say by --id-col which column is the id"
        )
    undeclared = _without(rest, told)
    if undeclared and _all_in(told, columns):
        raise UsageError(
            f"{where}: the columns {few(undeclared)} are none of --classes {few(told)}; leave them "
            f"out, or name them there"
        )
    odd = list(filter(is_beside, undeclared))
    if odd and len(rest) > 1 and not _are_classes(rest, columns):
        raise UsageError(
            f"{where}: {few(odd)} may be the truth as well as a prediction, beside "
            f"{few(_without(rest, odd)) or 'each other'}: name the columns "
            f"of the predictions by --classes, or leave the others out"
        )


def _without(names: Iterable[str], others: Collection[str]) -> list[str]:
    return [name for name in names if name not in others]


def _all_in(told: Sequence[str], columns: Mapping[str, Column]) -> bool:
    return bool(told) and set(told) <= set(columns)


def _are_classes(names: Sequence[str], columns: Mapping[str, Column]) -> bool:
    """Tell whether columns are probabilities of classes: their rows sum to 1."""
    found = [columns[name] for name in names]
    if any(values is None for values in found):
        return False
    return sum_to_one(np.stack([_numbers(values) for values in found], axis=1))


def _numbers(values: Column) -> NDArray[np.float64]:
    return np.empty(0) if values is None else values


def _binary(
    where: object,
    name: str,
    values: NDArray[np.float64],
    told: Sequence[str],
    notes: Sequence[str],
) -> Chosen:
    """Read one column of probabilities as those of the second of two classes, or of its own."""
    if not ((values >= 0) & (values <= 1)).all():
        odd = values[~((values >= 0) & (values <= 1))][0]
        raise UsageError(
            f"{where}: one column, {name!r}, is the probability of one of two classes, from 0 to "
            f"1; found {odd:.6g}. Apply the sigmoid first, or say what it holds: --task regression"
        )
    if len(told) not in (0, len(BINARY)):
        raise UsageError(
            f"{where}: one column, {name!r}, is the probability of one of two classes; --classes "
            f"names {len(told)}: {few(told)}"
        )
    classes = tuple(told) or BINARY
    place = classes.index(name) if name in classes else 1
    probs = np.stack([1 - values, values], axis=1)[:, [1, 0] if place == 0 else [0, 1]]
    note = (
        f"{where}: its one column {name!r} is read as the probability of {classes[place]!r}, "
        f"against {classes[1 - place]!r}; other names: --classes NEGATIVE,POSITIVE; labels that "
        f"are given each on its own: --task multilabel"
    )
    return Chosen(classes, probs, (*notes, note))
