"""What a submission or predictions say of the label of a label map, and of each of its tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, counted, few
from ensemble.files.csv_tables import is_csv
from ensemble.files.text_table import TableSource, TextTable
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.pipeline.tasks import notes_of
from ensemble.predictions.formats import read_parts
from ensemble.predictions.tasks import join_tasks
from ensemble.reports.read_back import gathered
from ensemble.reports.scorecard import Labels, read_scored
from ensemble.reports.submitted import Submitted, predicted_columns
from ensemble.voting.joint import fuse_tasks
from ensemble.voting.lift import marginals

NO_LABEL: Final = "no label"
"""What a row is called whose tasks have classes that stand for no label of the map."""


@dataclass(frozen=True, slots=True, eq=False)
class SaidOfTasks:
    """What is said of N rows: of the label, float64 (N, C) for its `classes`, and of each task.

    With `labels_only` it is 0 and 1. The classes are the map's labels, and `NO_LABEL` where some
    row has none. `notes` are what a person should know.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    label: Pooled
    tasks: Mapping[str, Pooled]
    labels_only: bool
    notes: tuple[str, ...] = ()


def read_said(submission: TableSource, labels: Labels, label_map: LabelMap) -> SaidOfTasks:
    """Read a label a row, a probability for each label, or a class for each task, melted or not.

    Args:
        submission: A CSV; or the Parquet that `ensemble oof` wrote with a label map, which is fused
            without weights.
        labels: The truth, whose ids tell those of the submission.
        label_map: What the labels stand for.

    Raises:
        UsageError: columns, labels or classes that are none of the label map; names them.
    """
    if not isinstance(submission, TextTable) and not is_csv(submission):
        tasks = join_tasks(read_parts(submission), label_map)
        probs = fuse_tasks(tasks.columns(), (), label_map, "soft", None).probs
        return said_by_label(tasks.ids, probs, label_map, notes_of(tasks, {}), labels_only=False)
    table = gathered(submission, labels, label_map)
    given = predicted_columns(read_scored(table, labels), (*label_map.labels, *label_map.names))
    if set(given.columns) == set(label_map.names):
        return _by_task(given, label_map)
    ids, notes = tuple(given.rows), given.notes
    if not given.has_labels:
        if set(given.columns) != set(label_map.labels):
            raise UsageError(
                f"{submission}: expected one column of labels, one for each label of the label map "
                f"or one for each task, found {few(given.columns)}"
            )
        probs = given.probabilities(columns=label_map.labels)
        return said_by_label(ids, probs, label_map, notes, labels_only=False)
    if odd := sorted(set(given.labels()) - set(label_map.labels)):
        raise UsageError(
            f"{submission}: {few(odd)} are no labels of the label map: {few(label_map.labels)}"
        )
    said = _one_hot(given.labels(), label_map.labels)
    return said_by_label(ids, said, label_map, notes, labels_only=True)


def said_by_label(
    ids: tuple[str, ...],
    probs: Pooled,
    label_map: LabelMap,
    notes: Sequence[str],
    *,
    labels_only: bool,
) -> SaidOfTasks:
    """Return what is said of the labels, and of each task by its sums over them."""
    tasks = marginals(probs, label_map)
    return SaidOfTasks(ids, label_map.labels, probs, tasks, labels_only, tuple(notes))


def _by_task(given: Submitted, label_map: LabelMap) -> SaidOfTasks:
    """Return what is said of each task, and of the label that they make."""
    notes, said = list(given.notes), {}
    for task in label_map.tasks:
        place = given.columns.index(task.name)
        cells = {name: row[place] for name, row in given.rows.items()}
        said[task.name] = _classes_said(given.path, task, cells, notes)
    made = dict(zip(label_map.rows, label_map.labels, strict=True))
    labels = [made.get(row, NO_LABEL) for row in zip(*said.values(), strict=True)]
    lost = [name for name, label in zip(given.rows, labels, strict=True) if label == NO_LABEL]
    if lost:
        notes.append(
            f"{given.path}: the classes of {counted(len(lost), 'row')} stand for no label of the "
            f"label map, such as those of {few(lost)}: as a label each of them is wrong"
        )
    classes = (*label_map.labels, NO_LABEL) if lost else label_map.labels
    tasks = {task.name: _one_hot(said[task.name], task.classes) for task in label_map.tasks}
    ids, label = tuple(given.rows), _one_hot(labels, classes)
    return SaidOfTasks(ids, classes, label, tasks, labels_only=True, notes=tuple(notes))


def _classes_said(
    path: TableSource, task: LabelTask, cells: Mapping[str, str], notes: list[str]
) -> list[str]:
    """Return the class that each row has of a task; numbers of classes are noted."""
    numbered = {str(number): name for number, name in enumerate(task.classes)}
    texts = set(cells.values())
    if texts <= numbered.keys() and not texts <= set(task.classes):
        notes.append(
            f"{path}, column {task.name!r}: read as the numbers of its classes {few(task.classes)}"
        )
        return [numbered[cell] for cell in cells.values()]
    said = {name: task.class_of(cell) for name, cell in cells.items()}
    for name, found in said.items():
        if found is None:
            raise UsageError(
                f"{path}, id {name!r}, column {task.name!r}: expected one of {few(task.classes)}, "
                f"found {cells[name]!r}"
            )
    return [found for found in said.values() if found is not None]


def _one_hot(names: Sequence[str], classes: Sequence[str]) -> Pooled:
    place = {name: number for number, name in enumerate(classes)}
    return np.eye(len(classes))[[place[name] for name in names]]
