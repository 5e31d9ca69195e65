"""A submission of labels that several tasks make, scored as labels and task by task."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.evaluation.joint_labels import joint_labels
from ensemble.files.csv_tables import column_of, is_csv
from ensemble.files.text_table import TableSource, TextTable
from ensemble.label_map import LABEL, LabelMap
from ensemble.pipeline.tasks import notes_of
from ensemble.predictions.formats import read_parts
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.reports import scorecard
from ensemble.reports.scorecard import Labels, Scorecard
from ensemble.reports.submitted import Submitted, predicted_columns
from ensemble.voting.joint import fuse_tasks
from ensemble.voting.lift import marginals

_ID, _GROUP = "id", "group"


def score_tasks(submission: TableSource, labels: Labels, label_map: LabelMap) -> Scorecard:
    """Score labels, or a probability a label, and what they say of each task.

    Args:
        submission: A CSV; or the Parquet that `ensemble oof` wrote with a label map, which is fused
            without weights.
        labels: The truth: a column of labels, or one for each task.
        label_map: What the labels stand for.

    Returns:
        The scores of the label; `tasks` has those of each task by name.

    Raises:
        UsageError: the tables do not fit together, or something is no label of the map.
    """
    notes: list[str] = []
    ids, probs, said = _predicted(submission, labels, label_map, notes)
    truth = joint_labels(
        labels.table,
        label_map,
        labels.column,
        id_column=labels.id_column,
        known=ids,
        tell=notes.append,
    )
    groups = None
    if labels.group is not None:
        groups = column_of(labels.table, labels.group, labels.id_column, ids, notes.append)
    rows = dict(zip(label_map.labels, label_map.rows, strict=True))
    lacking = [name for name in ids if name not in truth]
    if lacking:
        raise UsageError(f"{labels.table}: no label for {few(lacking)}")
    if odd := sorted({truth[name] for name in ids} - set(rows)):
        raise UsageError(f"{labels.table}: {few(odd)} are no labels of the label map")
    tasks = {}
    for place, task in enumerate(label_map.tasks):
        own = {name: rows[truth[name]][place] for name in ids}
        shares = marginals(probs, label_map)[task.name]
        tasks[task.name] = _card(ids, shares, task.classes, own, groups, said=said)
    found = _card(ids, probs, label_map.labels, truth, groups, said=said)
    return replace(found, tasks=tasks, notes=(*found.notes, *dict.fromkeys(notes)))


def _predicted(
    submission: TableSource, labels: Labels, label_map: LabelMap, notes: list[str]
) -> tuple[list[str], Pooled, bool]:
    """Return the ids, what is predicted of the labels (N, K), and whether it is labels alone."""
    if not isinstance(submission, TextTable) and not is_csv(submission):
        tasks = join_tasks(read_parts(submission), label_map)
        notes += notes_of(tasks, {})
        return list(tasks.ids), _fused(tasks), False
    given = predicted_columns(scorecard.read_scored(submission, labels), label_map.labels)
    if set(given.columns) == set(label_map.names):
        given = _labels_of_tasks(submission, given, label_map)
    if not given.has_labels:
        if set(given.columns) != set(label_map.labels):
            raise UsageError(
                f"{submission}: expected one column of labels, or one for each label of the label "
                f"map, found {few(given.columns)}"
            )
        return list(given.rows), given.probabilities(columns=label_map.labels), False
    place = {label: number for number, label in enumerate(label_map.labels)}
    if odd := sorted(set(given.labels()) - set(place)):
        raise UsageError(
            f"{submission}: {few(odd)} are no labels of the label map: {few(label_map.labels)}"
        )
    return list(given.rows), np.eye(len(place))[[place[each] for each in given.labels()]], True


def _labels_of_tasks(submission: TableSource, given: Submitted, label_map: LabelMap) -> Submitted:
    """Return the labels that a column of classes for each task makes.

    Raises:
        UsageError: classes that stand for no label; names the id.
    """
    named = dict(zip(label_map.rows, label_map.labels, strict=True))
    places = [given.columns.index(name) for name in label_map.names]
    rows = {}
    for name, cells in given.rows.items():
        said = tuple(cells[place] for place in places)
        if said not in named:
            raise UsageError(
                f"{submission}, id {name!r}: the classes {few(said)} stand for no label of the "
                f"label map; score a task alone, by --label-col without --label-map"
            )
        rows[name] = [named[said]]
    return replace(given, columns=(LABEL,), rows=rows)


def _fused(tasks: TaskPredictions) -> Pooled:
    return fuse_tasks(tasks.columns(), (), tasks.label_map, "soft", None).probs


def _card(
    ids: Sequence[str],
    probs: Pooled,
    classes: tuple[str, ...],
    truth: Mapping[str, str],
    groups: Mapping[str, str] | None,
    *,
    said: bool,
) -> Scorecard:
    """Score what is predicted of one task, or of the label."""
    header = (_ID, LABEL) if groups is None else (_ID, LABEL, _GROUP)
    rows = [(name, truth[name], *([groups[name]] if groups else [])) for name in ids]
    labels = Labels(TextTable("the labels", header, tuple(rows)), group=_GROUP if groups else None)
    if said:
        named = [(name, classes[place]) for name, place in zip(ids, probs.argmax(1), strict=True)]
        table = TextTable("the submission", (_ID, LABEL), tuple(named))
        return scorecard.score_submission(table, replace(labels, classes=classes))
    return scorecard.score_classes(Predictions(tuple(ids), classes, {LABEL: probs}), labels)
