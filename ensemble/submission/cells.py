"""The cells of a submission: what is written for each image, and what stands in for one."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.members.card import Head
from ensemble.records import TASKS
from ensemble.submission.rounding import number_texts
from ensemble.submission.sample import Sample
from ensemble.submission.tasks import filled_tasks

Row: TypeAlias = list[str] | str
"""The cells of an image, beside the id. Those of numbers are one text, with commas between them."""


def _nothing() -> Pooled:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """What fills the cells of N ids: a label each, or probabilities (N, C).

    `lists` are the labels of one cell each, where it holds several; `tasks` the cells of several
    tasks each, by name. What the sample does not ask for may be left out.
    """

    ids: Sequence[str]
    labels: Sequence[str] = ()
    probs: Pooled = field(default_factory=_nothing)
    lists: Sequence[tuple[str, ...]] = ()
    tasks: Sequence[Mapping[str, str]] = ()


def cells_of(sample: Sample, filling: Filling, classes: Sequence[str]) -> Sequence[Row]:
    """Return the cells of each id beside the id, in the order of the sample's columns.

    Args:
        sample: What is asked for.
        filling: What is written.
        classes: The classes, in the order of `Filling.probs`.

    Raises:
        ContractError: a value that is not finite.
    """
    if sample.kind == "tasks":
        return [[row[task] for task in sample.classes] for row in filling.tasks]
    if sample.kind in ("label", "list", "top"):
        numbers = [str(n) for n in range(len(classes))] if sample.index_labels else classes
        written = dict(zip(classes, numbers, strict=True))
        if sample.kind == "label":
            return [[written[label]] for label in filling.labels]
        return [[" ".join(written[label] for label in labels)] for labels in filling.lists]
    place = {name: number for number, name in enumerate(classes)}
    values = np.asarray(filling.probs, np.float64)[:, [place[name] for name in sample.classes]]
    if sample.kind == "binary":
        return [",".join(str(int(value)) for value in row) for row in values.tolist()]
    return number_texts(values, filling.ids, sample.rounding)


def fill_row(fill: str, sample: Sample, head: Head) -> Filling:
    """Return what stands for an image without a prediction.

    Raises:
        UsageError: `fill` is no label of the head, or no number that its columns may hold.
    """
    if sample.kind == "tasks":
        return Filling([fill], tasks=[filled_tasks(fill, sample.tasks)])
    if sample.kind in ("label", "list", "top"):
        return _filled_labels(fill, sample, head.classes)
    return _filled_numbers(fill, sample, head)


def _filled_labels(fill: str, sample: Sample, classes: Sequence[str]) -> Filling:
    names = {str(number): name for number, name in enumerate(classes) if sample.index_labels}
    texts = [fill] if sample.kind == "label" else fill.split()
    labels = tuple(names.get(text, text) for text in texts)
    if not labels or not set(labels) <= set(classes):
        near = difflib.get_close_matches(fill, classes, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"they are {few(classes)}"
        raise UsageError(f"--fill {fill!r} is none of the {len(classes)} classes; {hint}")
    return Filling([fill], labels[:1], lists=[labels])


def _filled_numbers(fill: str, sample: Sample, head: Head) -> Filling:
    value = _number(fill)
    if TASKS[head.task].bounded and not 0 <= value <= 1:
        raise UsageError(f"--fill {fill!r}: a probability lies between 0 and 1")
    if sample.kind == "binary" and value not in (0, 1):
        raise UsageError(f"--fill {fill!r}: --output binary needs 0 or 1")
    return Filling([fill], probs=np.full((1, len(head.classes)), value))


def _number(fill: str) -> float:
    try:
        value = float(fill)
    except ValueError as error:
        raise UsageError(f"--fill {fill!r}: a number is needed for probability columns") from error
    if not math.isfinite(value):
        raise UsageError(f"--fill {fill!r}: expected a finite number")
    return value
