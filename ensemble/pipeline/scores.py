"""A submission or predictions scored against labels, and the picture: `ensemble score`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ensemble.errors import UsageError
from ensemble.files.csv_tables import is_csv
from ensemble.files.text_table import TableSource, TextTable
from ensemble.label_map import LabelMap
from ensemble.pipeline.task_scores import score_tasks
from ensemble.predictions.formats import in_memory, read
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.run_told import told_by_run
from ensemble.predictions.table import Oof
from ensemble.progress import Listener, Quiet
from ensemble.recipe.track import Track
from ensemble.records import TASKS, Task, check_choice
from ensemble.reports import scorecard
from ensemble.reports.read_back import read_back
from ensemble.reports.scorecard import Labels, Scorecard
from ensemble.reports.submitted import Submitted, predicted_columns
from ensemble.reports.trackers.record import ready, record
from ensemble.reports.trackers.tracked import of_scores

_SCORED = "submission"

_PAIR = 2


def score(
    submission: TableSource,
    labels: Labels,
    listener: Listener | None = None,
    *,
    task: Task | None = None,
    png: Path | None = None,
    label_map: LabelMap | None = None,
    tracks: Sequence[Track] = (),
) -> Scorecard:
    """Score a submission, or a file of predictions, by every metric that it allows, joined by id.

    Args:
        submission: The id, then a label column or a column a class; or a Parquet, .npz: what
            `ensemble oof` or a run wrote, or another tool.
        labels: The labels, with an id column.
        listener: Told of what trackers do.
        task: What the submission predicts; None for what a file of ours or the run says in whose
            folder it lies, and else classification.
        png: Where to draw the confusion matrix and the scores, which takes matplotlib.
        label_map: What the labels stand for: each task is scored too; see `score_tasks`.
        tracks: The trackers that record it.

    Raises:
        UsageError: the two do not fit together, or a picture of a task without a matrix.
        StoreError: the disk refused the picture.
    """
    if task is not None:
        check_choice("task", task, Task)
    listener = listener or Quiet()
    installed = ready(tracks, listener)
    task = task or told_by_run(submission).task or "classification"
    if label_map is None:
        card = _scored(submission, labels, task)
    else:
        card = score_tasks(submission, labels, label_map)
    if png is not None:
        if not card.counts.size:
            raise UsageError(f"--png draws the confusion matrix of classes; {task} has none")
        from ensemble.reports.figures import draw_scores

        draw_scores(card, png)
    record(installed, partial(of_scores, _name_of(submission), card), listener)
    return card


def _name_of(submission: TableSource) -> str:
    """Return what a record of scores is called: after a run's folder, or the file."""
    if isinstance(submission, TextTable):
        return _SCORED
    return submission.stem if submission.stem != _SCORED else submission.absolute().parent.name


def _scored(submission: TableSource, labels: Labels, task: Task) -> Scorecard:
    table = isinstance(submission, TextTable) or is_csv(submission)
    notes: tuple[str, ...] = ()
    if table:
        back = read_back(submission, labels, task)
        submission, notes = back.table, back.notes
    card = _card(submission, labels, task, table=table)
    return replace(card, notes=(*notes, *card.notes))


def _card(submission: TableSource, labels: Labels, task: Task, *, table: bool) -> Scorecard:
    said = task if table or not TASKS[task].single else None
    # of two classes --classes names the positive one; else it only orders them
    classes = () if TASKS[task].single and len(labels.classes) != _PAIR else labels.classes
    told = ForeignHints(None, classes, said, labels.id_column)
    if table and TASKS[task].single:
        given = predicted_columns(scorecard.read_scored(submission, labels), labels.classes)
        if not given.has_probability or _are_labels(given, labels):
            return scorecard.score_submission(submission, labels)
        columns = {given.columns[0]: given.labels()}
        found = in_memory(submission, _SCORED, list(given.rows), columns, told)
        return scorecard.score_classes(replace(found, notes=(*given.notes, *found.notes)), labels)
    found = _predictions(submission, told)
    if TASKS[found.task].single:
        return scorecard.score_classes(found, labels)
    return scorecard.score_values(found, labels)


def _are_labels(given: Submitted, labels: Labels) -> bool:
    """Tell whether all that is given are labels of the truth, such as grades of 0.5."""
    return set(given.labels()) <= set(labels.of(list(given.rows), lambda _: None).values())


def _predictions(submission: TableSource, told: ForeignHints) -> Oof:
    """Return predictions of a file, or a submission as those of one family."""
    if not isinstance(submission, TextTable):
        return read(submission, _SCORED if is_csv(submission) else None, told)
    cells = zip(*submission.rows, strict=True)
    columns = dict(zip(submission.header, map(list, cells), strict=True))
    ids = columns.pop(submission.header[0])
    return in_memory(submission, _SCORED, ids, columns, told)
