"""What a report says of files: predictions, submissions, weights, policies, crops."""

from collections import Counter
from pathlib import Path

import numpy as np

from ensemble.arrays import Pooled
from ensemble.boxes import RULES
from ensemble.errors import UsageError
from ensemble.files.columns import id_column
from ensemble.files.csv_tables import read_table
from ensemble.files.text_table import TableSource
from ensemble.images.crop_table import read_crops
from ensemble.label_map import LABEL, LabelMap
from ensemble.pipeline.report_order import NO_LABELS, ReportOrder
from ensemble.pipeline.scores import score
from ensemble.predictions.formats import read, read_parts
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import join_tasks
from ensemble.recipe.policy import Policy
from ensemble.records import TASKS, Task
from ensemble.reports.page.answers import Answer
from ensemble.reports.page.looked import Looked, ScoredBox
from ensemble.reports.scorecard import Scorecard
from ensemble.reports.submitted import predicted_columns, read_submission
from ensemble.voting.joint import fuse_tasks
from ensemble.voting.lift import marginals
from ensemble.voting.weights import Weights


def look_at_weights(weights: Weights, name: str, order: ReportOrder) -> Looked:
    """Look at weights: what tuning found is in them.

    Raises:
        UsageError: labels were given, which only predictions can be held against.
    """
    order.without_labels(name)
    return Looked(name, f"Weights of {len(weights.families)} families.", weights=weights)


def look_at_policy(policy: Policy, name: str, order: ReportOrder) -> Looked:
    """Look at a policy, and at the weights in it.

    Raises:
        UsageError: as for weights.
    """
    order.without_labels(name)
    return Looked(name, "A policy: which views and folds of each family run.", policy=policy,
                  weights=policy.weights)  # fmt: skip


def look_at_crops(path: Path, order: ReportOrder) -> Looked:
    """Look at a table of crops.

    Raises:
        UsageError: as for weights; or the table is none.
    """
    order.without_labels(path.name)
    rows, scores = read_crops(path, order.id_column), _scores_of(path, order.id_column)
    boxes = tuple(ScoredBox(name, row.box, scores.get(name)) for name, row in rows.items())
    counts = Counter(each.box.rule for each in boxes if each.box.rule)
    rules = {name: counts[name] for name in RULES if name in counts}
    return Looked(path.name, f"Boxes of {len(boxes)} images.", boxes=boxes, rules=rules)


def _scores_of(path: Path, id_col: str | None) -> dict[str, float]:
    """Return the score of each box by id; nothing where the table has none."""
    header, body = read_table(path)
    if "score" not in header:
        return {}
    key = header.index(id_column(path, header, body, said=id_col))
    place = header.index("score")
    try:
        return {row[key]: float(row[place]) for row in body}
    except ValueError as error:
        raise UsageError(f"{path}, column 'score': {error}") from error


def look_at_predictions(path: Path, order: ReportOrder) -> Looked:
    """Look at a file of predictions by family, such as an OOF Parquet.

    Raises:
        UsageError: it is none, or the labels do not fit.
    """
    if order.label_map is not None:
        return _of_tasks(path, order, order.label_map)
    classes = order.labels.classes if order.labels else ()
    found = read(path, None, ForeignHints(None, classes if len(classes) == 2 else (), order.task,
                                          order.id_column))  # fmt: skip
    card = score(path, order.labels, task=order.task) if order.labels else None
    families = {name: np.asarray(each, np.float64) for name, each in found.families.items()}
    probs = np.asarray(np.mean(list(families.values()), axis=0), np.float64)
    answer = Answer(found.output, found.task, found.ids, found.classes, probs,
                    _labels(probs, found.classes, found.task), families, card)  # fmt: skip
    return Looked(path.name, _described(found), (answer,), quarantined=found.quarantined,
                  lacking=() if card else (NO_LABELS,))  # fmt: skip


def _described(found: Predictions) -> str:
    kind = "Predictions of a run" if found.deployed else "Out-of-fold predictions"
    kind = "Predictions" if not found.deployed and found.folds is None else kind
    rows, families = len(found.ids), len(found.families)
    return f"{kind} of {families} families for {rows} rows; shown is their plain mean."


def _of_tasks(path: Path, order: ReportOrder, label_map: LabelMap) -> Looked:
    """Look at predictions of several tasks, fused without weights, as `ensemble score` does."""
    tasks = join_tasks(read_parts(path), label_map)
    columns = tasks.columns()
    probs = fuse_tasks(columns, (), label_map, "soft", None).probs
    card = score(path, order.labels, label_map=label_map) if order.labels else None
    said = {LABEL: (label_map.labels, probs, card)}
    for task in label_map.tasks:
        own = marginals(probs, label_map)[task.name]
        said[task.name] = (task.classes, own, card.tasks[task.name] if card else None)
    answers = tuple(
        Answer(name, "classification", tasks.ids, classes, own, _labels(own, classes),
               {c.name: c.probs for c in columns if (c.task or LABEL) == name}, each,
               joint=name == LABEL)
        for name, (classes, own, each) in said.items()
    )  # fmt: skip
    count, rows = len(label_map.tasks), len(tasks.ids)
    what = f"Predictions of {count} tasks for {rows} rows, fused without weights."
    return Looked(path.name, what, answers, quarantined=tasks.quarantined,
                  lacking=() if card else (NO_LABELS,))  # fmt: skip


def look_at_submission(table: TableSource, order: ReportOrder) -> Looked:
    """Look at a submission that is no run's: of labels, probabilities or values.

    Raises:
        UsageError: it is none, or the labels do not fit.
    """
    name = table.name if isinstance(table, Path) else str(table)
    if order.labels is None:
        answer = _unlabelled(table, order)
        return Looked(name, f"A submission of {len(answer.ids)} rows.", (answer,),
                      lacking=(NO_LABELS,))  # fmt: skip
    card = score(table, order.labels, task=order.task, label_map=order.label_map)
    answers = [_of_card(LABEL, card)]
    answers += [_of_card(task, each) for task, each in card.tasks.items()]
    return Looked(name, f"A submission of {card.rows} rows.", tuple(answers))


def _of_card(name: str, card: Scorecard) -> Answer:
    compared = card.compared
    if compared is None:
        raise UsageError(f"{name}: it has no rows")
    single = TASKS[compared.task].single
    probs = compared.given
    if compared.labels_only and single:
        probs = np.empty((len(compared.ids), 0))
    return Answer(name, compared.task, compared.ids, compared.classes, probs,
                  _labels(compared.given, compared.classes, compared.task), card=card,
                  joint=bool(card.tasks))  # fmt: skip


def _unlabelled(table: TableSource, order: ReportOrder) -> Answer:
    """Return what a submission says, without a truth to tell of what."""
    given = predicted_columns(read_submission(table, order.id_column))
    ids = tuple(given.rows)
    task: Task = order.task or ("regression" if given.has_values else "classification")
    if given.has_labels and TASKS[task].single:
        labels = tuple(given.labels())
        classes = tuple(sorted(set(labels)))
        return Answer(given.columns[0], task, ids, classes, np.empty((len(ids), 0)), labels)
    probs = given.probabilities()
    return Answer(LABEL, task, ids, given.columns, probs, _labels(probs, given.columns, task))


def _labels(
    probs: Pooled, classes: tuple[str, ...], task: Task = "classification"
) -> tuple[str, ...]:
    """Return the label of each row; nothing where there is not one a row."""
    return tuple(classes[c] for c in probs.argmax(1).tolist()) if TASKS[task].single else ()
