"""Several tasks in one submission: a label or a value for each, by the task's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import ContractError, UsageError, few
from ensemble.label_map import LabelMap
from ensemble.records import Voting
from ensemble.submission.forms import Wanted
from ensemble.submission.label_cells import index_labels
from ensemble.submission.rounding import number_texts, rounding_of
from ensemble.voting.lift import class_places, marginals
from ensemble.voting.vote import Fused


@dataclass(frozen=True, slots=True)
class TaskForm:
    """How a task is written: its classes, none of a value; by number or by name; rounded or not."""

    classes: tuple[str, ...]
    by_number: bool = False
    rounding: str = "off"


@dataclass(frozen=True, slots=True, eq=False)
class TaskOutcome:
    """What was predicted for a task.

    `classes` are C names, or none where the task is a value. `probs` are float64 (N, C)
    probabilities, or (N, 1) values, in the order of the ids. `labels` int64 (N,) are the classes
    that were decided; without them the largest probability decides, of equal ones the first.
    """

    name: str
    classes: tuple[str, ...]
    probs: Pooled
    labels: Indices | None = None


def outcomes_of(fused: Fused, label_map: LabelMap, voting: Voting) -> list[TaskOutcome]:
    """Return what a vote on the labels of a map says of each task.

    The class of the largest probability, summed over the labels; of a hard vote, whose shares are
    no probabilities, that of the label which won.
    """
    shares = marginals(fused.probs, label_map)
    won = class_places(label_map)[fused.labels] if voting == "hard" else None
    return [
        TaskOutcome(task.name, task.classes, shares[task.name], None if won is None else won[:, t])
        for t, task in enumerate(label_map.tasks)
    ]


def task_forms(
    where: object, cells: Mapping[str, Sequence[str]], wanted: Wanted
) -> dict[str, TaskForm]:
    """Return how each task is written, by the cells that a sample has for it.

    Args:
        where: The sample, in messages.
        cells: What the sample holds for each task, by its name.
        wanted: The tasks with their classes, and what flags say.

    Raises:
        UsageError: cells that are neither classes nor their numbers, or whole numbers of a value.
    """
    found = {}
    for name, texts in cells.items():
        classes, place = wanted.tasks[name], f"{where}, task {name!r}"
        if not classes:
            rounding = rounding_of(place, [[text] for text in texts], wanted.rounding)
            found[name] = TaskForm((), rounding=rounding)
            continue
        filled = [text.strip() for text in texts if text.strip()]
        by_number = index_labels(place, filled, classes, wanted.labels_as)
        found[name] = TaskForm(classes, by_number)
    return found


def task_rows(
    columns: Sequence[TaskOutcome], forms: Mapping[str, TaskForm], ids: Sequence[str]
) -> list[dict[str, str]]:
    """Return the cell of each task, by its name, for each of N ids.

    Raises:
        ContractError: a task that was not predicted, has other classes or rows than are asked for,
            or a value that is not finite.
    """
    if not forms:
        return [{} for _ in ids]
    given = {column.name: column for column in columns}
    if lacking := sorted(forms.keys() - given.keys()):
        raise ContractError(
            f"the sample asks for {few(lacking)}, and only {few(sorted(given)) or 'none'} were "
            f"predicted. Nothing was published"
        )
    texts = {name: _texts(given[name], form, ids) for name, form in forms.items()}
    return [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]


def filled_tasks(fill: str, forms: Mapping[str, TaskForm]) -> dict[str, str]:
    """Return the cells of an image without a prediction, of `task=label,task=value`.

    Raises:
        UsageError: a task without a value, or a label that is no class of its task.
    """
    said = dict(part.partition("=")[::2] for part in fill.split(","))
    if said.keys() != forms.keys():
        example = ",".join(f"{name}=…" for name in forms)
        raise UsageError(f"--fill {fill!r}: expected a label or a value for each task: {example}")
    return {name: _filled(said[name], name, form) for name, form in forms.items()}


def _texts(column: TaskOutcome, form: TaskForm, ids: Sequence[str]) -> list[str]:
    """Return the cell of each row of a task."""
    if set(column.classes) != set(form.classes) or len(column.probs) != len(ids):
        raise ContractError(
            f"task {column.name!r}: {len(column.probs)} rows of "
            f"{few(column.classes) or 'a value'}; {len(ids)} of {few(form.classes) or 'a value'} "
            f"were asked for. Nothing was published"
        )
    probs = np.asarray(column.probs, np.float64)
    if not form.classes:
        return number_texts(probs[:, :1], ids, form.rounding)
    _check_finite(column, probs, ids)
    decided = probs.argmax(1) if column.labels is None else column.labels
    written = _written(form)
    return [written[column.classes[number]] for number in decided.tolist()]


def _check_finite(column: TaskOutcome, probs: Pooled, ids: Sequence[str]) -> None:
    odd = np.flatnonzero(~np.isfinite(probs).all(1))
    if odd.size:
        raise ContractError(
            f"task {column.name!r}, id {ids[odd[0]]!r}: a probability is not finite. Nothing was "
            f"published"
        )


def _filled(text: str, name: str, form: TaskForm) -> str:
    if form.classes:
        written = _written(form)
        if text not in written and text not in written.values():
            raise UsageError(f"--fill {name}={text}: not one of {few(form.classes)}")
        return written.get(text, text)
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"--fill {name}={text}: the task is a value, so a number") from error
    if not np.isfinite(value):
        raise UsageError(f"--fill {name}={text}: expected a finite number")
    return number_texts(np.array([[value]]), [name], form.rounding)[0]


def _written(form: TaskForm) -> dict[str, str]:
    """Return how each class is written."""
    return {c: str(n) if form.by_number else c for n, c in enumerate(form.classes)}
