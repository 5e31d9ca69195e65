"""The label map: which answers to several tasks make which one label.

A task is a question about an image, with its own classes or one value (mask, gender, age). The map
is a table that people can write: a column `label` and a column for each task, a row for each label.
Tasks and labels are held in the natural order of their names, so that neither the order of the
rows nor that of the columns decides anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from ensemble.files.fields import Fields
from ensemble.files.paths import natural_key
from ensemble.label_tasks import LabelTask, read_task

LABEL: Final = "label"
"""The column of the labels, and what the joint head of a run is called."""


@dataclass(frozen=True, slots=True)
class LabelMap:
    """K labels, T tasks, and the class of each task in each label: K rows of T names."""

    labels: tuple[str, ...]
    tasks: tuple[LabelTask, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def places(self) -> tuple[tuple[int, ...], ...]:
        """The class of each task in each label, K rows of T, among the task's classes."""
        return tuple(
            tuple(task.classes.index(name) for task, name in zip(self.tasks, row, strict=True))
            for row in self.rows
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tasks."""
        return tuple(task.name for task in self.tasks)

    @property
    def missing(self) -> list[tuple[str, ...]]:
        """The combinations of classes that no label stands for: they are impossible."""
        there = set(self.rows)
        return [row for row in product(*(task.classes for task in self.tasks)) if row not in there]

    def task(self, name: str) -> LabelTask | None:
        """Return the task of that name, if there is one."""
        return next((task for task in self.tasks if task.name == name), None)


def to_record(given: LabelMap) -> dict[str, object]:
    """Return a map as JSON-ready values, for run.json and weights.json."""
    rows = [dict(zip((LABEL, *given.names), row, strict=True)) for row in _lines_of(given)]
    tasks = {
        task.name: {
            "classes": list(task.classes),
            "cuts": list(task.cuts),
            "spread": task.spread,
            "merge": dict(task.merge),
        }
        for task in given.tasks
    }
    return {"rows": rows, "tasks": tasks}


def from_record(fields: Fields) -> LabelMap:
    """Read what `to_record` gave.

    Raises:
        EnsembleError: a field is not what it should be; the error is of the fields' kind.
    """
    told = fields.inner("tasks")
    tasks = tuple(
        read_task(told.inner(name), name) for name in sorted(told.record, key=natural_key)
    )
    if not tasks:
        raise fields.bad("tasks", "a task or more", told.record)
    lines = fields.each("rows")
    rows = {line.text(LABEL): tuple(line.text(task.name) for task in tasks) for line in lines}
    labels = tuple(sorted(rows, key=natural_key))
    known = all(_are_classes(row, tasks) for row in rows.values())
    if len(rows) < 2 or len(set(rows.values())) < len(lines) or not known:
        raise fields.bad("rows", "labels of classes of the tasks, each once", len(lines))
    return LabelMap(labels, tasks, tuple(rows[label] for label in labels))


def _are_classes(row: Sequence[str], tasks: Sequence[LabelTask]) -> bool:
    return all(cell in task.classes for task, cell in zip(tasks, row, strict=True))


def _lines_of(given: LabelMap) -> list[tuple[str, ...]]:
    return [(label, *row) for label, row in zip(given.labels, given.rows, strict=True)]
