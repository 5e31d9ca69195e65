"""A submission of labels that several tasks make, scored as labels and task by task."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.evaluation.joint_labels import joint_labels
from ensemble.files.csv_tables import column_of
from ensemble.files.text_table import TableSource, TextTable
from ensemble.label_map import LABEL, LabelMap
from ensemble.pipeline.task_submissions import SaidOfTasks, read_said
from ensemble.predictions.table import Predictions
from ensemble.reports.scorecard import Labels, Scorecard, score_classes

_ID, _GROUP = "id", "group"


def score_tasks(submission: TableSource, labels: Labels, label_map: LabelMap) -> Scorecard:
    """Score labels, a probability a label, or a class a task, and what they say of each task.

    Args:
        submission: What `read_said` takes.
        labels: The truth: a column of labels, or one for each task.
        label_map: What the labels stand for.

    Returns:
        The scores of the label; `tasks` has those of each task by name. The classes of a task that
        is cut have an order; those of others have none, but that of numbers.

    Raises:
        UsageError: the tables do not fit together, or something is no label of the map.
    """
    return score_said(read_said(submission, labels, label_map), labels, label_map)


def score_said(said: SaidOfTasks, labels: Labels, label_map: LabelMap) -> Scorecard:
    """Score what is said of the label and the tasks; see `score_tasks`."""
    notes = [*said.notes]
    truth = joint_labels(
        labels.table,
        label_map,
        labels.column,
        id_column=labels.id_column,
        known=said.ids,
        tell=notes.append,
    )
    groups = None
    if labels.group is not None:
        groups = column_of(labels.table, labels.group, labels.id_column, said.ids, notes.append)
    rows = dict(zip(label_map.labels, label_map.rows, strict=True))
    if lacking := [name for name in said.ids if name not in truth]:
        raise UsageError(f"{labels.table}: no label for {few(lacking)}")
    if odd := sorted({truth[name] for name in said.ids} - set(rows)):
        raise UsageError(f"{labels.table}: {few(odd)} are no labels of the label map")
    card = partial(_card, said, groups)
    tasks = {}
    for place, task in enumerate(label_map.tasks):
        own = {name: rows[truth[name]][place] for name in said.ids}
        tasks[task.name] = card(said.tasks[task.name], task.classes, own, ordered=bool(task.cuts))
    found = card(said.label, said.classes, truth)
    return replace(found, tasks=tasks, notes=(*found.notes, *dict.fromkeys(notes)))


def _card(
    said: SaidOfTasks,
    groups: Mapping[str, str] | None,
    probs: Pooled,
    classes: tuple[str, ...],
    truth: Mapping[str, str],
    *,
    ordered: bool = False,
) -> Scorecard:
    """Score what is predicted of one task, or of the label."""
    header = (_ID, LABEL) if groups is None else (_ID, LABEL, _GROUP)
    rows = [(name, truth[name], *([groups[name]] if groups else [])) for name in said.ids]
    labels = Labels(
        TextTable("the labels", header, tuple(rows)),
        group=_GROUP if groups else None,
        classes=classes if ordered else (),
    )
    found = Predictions(said.ids, classes, {LABEL: probs})
    return score_classes(found, labels, labels_only=said.labels_only)
