"""What a report says of a run: its submission scored, its probabilities, its tasks."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ensemble import label_map as label_maps
from ensemble.arrays import Pooled
from ensemble.errors import UsageError
from ensemble.files.fields import fields_of
from ensemble.label_map import LABEL, LabelMap
from ensemble.pipeline.report_order import NO_LABELS, ReportOrder
from ensemble.pipeline.scores import score
from ensemble.pipeline.task_scores import score_said
from ensemble.pipeline.task_submissions import said_by_label
from ensemble.predictions.parsed import mapping_of, texts_of
from ensemble.predictions.run_file import RunRows, read_run
from ensemble.predictions.run_record import DAMAGED, RUN, RunRecord, read_record
from ensemble.predictions.table import Predictions
from ensemble.records import TASKS
from ensemble.reports.page.answers import Answer
from ensemble.reports.page.looked import Looked
from ensemble.reports.scorecard import Labels, Scorecard, score_classes, score_values
from ensemble.submission.staging import PREDICTIONS, SUBMISSION
from ensemble.voting import weights as weights_file
from ensemble.voting.decision import field_error
from ensemble.voting.lift import marginals
from ensemble.voting.weights import Weights


def look_at_run(folder: Path, order: ReportOrder) -> Looked:
    """Look at a run's folder: its record, its predictions, and its submission held against labels.

    Raises:
        UsageError: the folder is damaged, or the labels do not fit.
    """
    try:
        record = read_record(folder)
    except DAMAGED as error:
        raise UsageError(f"{folder / RUN}: damaged, or not the record of a run") from error
    rows = read_run(folder / PREDICTIONS)
    label_map, lacking = order.label_map or _map_of(record, folder), _lacking(folder, rows, order)
    card, odd = _card(folder, order, rows, label_map)
    answers = (_answer(record, rows, order, card),) if label_map is None else tuple(
        _task_answers(record, rows, order, label_map, card))  # fmt: skip
    weights = record.settings.get("weights")
    return Looked(
        title=folder.name or str(folder),
        what=_described(record),
        answers=answers,
        record=record,
        weights=_weights(weights, folder),
        quarantined=rows.quarantined,
        evaluations=rows.evaluations,
        lacking=(*lacking, *odd),
        rules=mapping_of(record.facts.get("crops", {})),
    )


def _described(record: RunRecord) -> str:
    families = sorted({each.member.family for each in record.members})
    told = record.settings
    return (
        f"A run of {len(record.members)} members in {len(families)} families; views "
        f"{told.get('tta', 'none')}, {told.get('voting', 'soft')} vote."
    )


def _weights(told: object, folder: Path) -> Weights | None:
    return None if told is None else weights_file.from_record(told, str(folder / RUN))


def _map_of(record: RunRecord, folder: Path) -> LabelMap | None:
    told = record.facts.get("label_map")
    if told is None:
        return None
    fault = partial(field_error, str(folder / RUN))
    return label_maps.from_record(fields_of(told, "label_map", fault))


def _lacking(folder: Path, rows: RunRows, order: ReportOrder) -> list[str]:
    found = []
    if order.labels is None:
        found.append(NO_LABELS)
    if rows.probs is None:
        found.append("there are no probabilities, for images ended early: run again without "
                     "--early-exit to see how sure the labels are")  # fmt: skip
    if not (folder / SUBMISSION).is_file():
        found.append("there is no submission.csv, for images were quarantined: --fill at the run "
                     "gives one")  # fmt: skip
    return found


def _card(
    folder: Path, order: ReportOrder, rows: RunRows, label_map: LabelMap | None
) -> tuple[Scorecard | None, list[str]]:
    """Return what the submission scores, as `ensemble score` says; or why that cannot be."""
    path = folder / SUBMISSION
    if order.labels is None or not path.is_file():
        return None, []
    try:
        return score(path, order.labels, task=rows.task, label_map=label_map), []
    except UsageError as error:
        if rows.probs is None:
            raise
        return None, [f"the submission itself is not scored, but its probabilities: {error}"]


def _answer(record: RunRecord, rows: RunRows, order: ReportOrder, card: Scorecard | None) -> Answer:
    probs = rows.probs if rows.probs is not None else np.empty((len(rows.ids), 0))
    return Answer(
        name=record.head,
        task=rows.task,
        ids=rows.ids,
        classes=rows.classes,
        probs=probs,
        labels=rows.labels,
        families=rows.families,
        card=card or _of_probs(rows, order.labels),
        probs_card=_of_probs(rows, order.labels) if _lacks_probs(card) else None,
    )


def _lacks_probs(card: Scorecard | None) -> bool:
    """Tell whether what was handed in has no probabilities of its own."""
    return card is not None and card.compared is not None and card.compared.labels_only


def _of_probs(rows: RunRows, labels: Labels | None) -> Scorecard | None:
    """Return what the fused probabilities or values score."""
    if labels is None or rows.probs is None:
        return None
    found = Predictions(rows.ids, rows.classes, {"fused": rows.probs}, task=rows.task)
    return score_classes(found, labels) if TASKS[rows.task].single else score_values(found, labels)


def _task_answers(
    record: RunRecord,
    rows: RunRows,
    order: ReportOrder,
    label_map: LabelMap,
    card: Scorecard | None,
) -> list[Answer]:
    """Return what is said of the label, and of each task."""
    probs, by_task = rows.probs, dict[str, Pooled]()
    probs_card = None
    if probs is not None:
        by_task = dict(marginals(probs, label_map))
        if order.labels is not None:
            said = said_by_label(rows.ids, probs, label_map, (), labels_only=False)
            probs_card = score_said(said, order.labels, label_map)
    own = card or probs_card
    answered = mapping_of(record.facts.get("answered", {}))
    class_of = dict(zip(label_map.labels, label_map.rows, strict=True))
    empty = np.empty((len(rows.ids), 0))
    found = [Answer(LABEL, rows.task, rows.ids, label_map.labels, empty if probs is None else probs,
                    rows.labels, _families(rows, answered, LABEL), own,
                    probs_card if _lacks_probs(card) else None, joint=True)]  # fmt: skip
    for place, task in enumerate(label_map.tasks):
        labels = tuple(class_of[label][place] for label in rows.labels)
        found.append(Answer(
            task.name, "classification", rows.ids, task.classes, by_task.get(task.name, empty),
            labels, _families(rows, answered, task.name),
            own.tasks[task.name] if own else None,
            probs_card.tasks[task.name] if probs_card and _lacks_probs(card) else None,
        ))  # fmt: skip
    return found


def _families(rows: RunRows, answered: Mapping[str, object], name: str) -> dict[str, Pooled]:
    """Return the columns that answer a task, or the label."""
    names: Sequence[str] = texts_of(answered.get(name, ()))
    return {each: rows.families[each] for each in names if each in rows.families}
