"""A submission scored against labels, and its picture: `ensemble score`."""

from pathlib import Path

import numpy as np

from ensemble.errors import UsageError
from ensemble.files.csv_tables import read_table
from ensemble.files.text_table import TableSource, TextTable
from ensemble.predictions.formats import ForeignHints, read
from ensemble.predictions.table import Oof, checked
from ensemble.records import TASKS, Task, check_choice
from ensemble.reports import scorecard
from ensemble.reports.scorecard import Scorecard

_SCORED = "submission"


def score(
    submission: TableSource,
    labels: TableSource,
    label_column: str = "label",
    *,
    task: Task = "classification",
    png: Path | None = None,
) -> Scorecard:
    """Score a submission by every metric that it allows, joined by id.

    Args:
        submission: The id, then a label column or a column a class.
        labels: An id column and the labels.
        label_column: The column of the labels.
        task: What the submission predicts.
        png: Where to draw the confusion matrix and the scores, which takes matplotlib.

    Raises:
        UsageError: the two do not fit together, or a picture of a task without a matrix.
        StoreError: the disk refused the picture.
    """
    check_choice("task", task, Task)
    if TASKS[task].single:
        card = scorecard.score_submission(submission, labels, label_column)
    elif png is not None:
        raise UsageError(f"--png draws the confusion matrix of classes; {task} has none")
    else:
        card = scorecard.score_values(_predictions(submission, task), labels, label_column)
    if png is not None:
        from ensemble.reports.figures import draw_scores

        draw_scores(card, png)
    return card


def _predictions(submission: TableSource, task: Task) -> Oof:
    """Return a submission as the predictions of one family."""
    if not isinstance(submission, TextTable):
        return read(submission, _SCORED, ForeignHints(task=task))
    header, body = read_table(submission)
    try:
        values = np.array([row[1:] for row in body], np.float64)
    except ValueError as error:
        raise UsageError(f"{submission}: probabilities are numbers: {error}") from error
    ids = tuple(row[0] for row in body)
    return checked(submission, Oof(ids, tuple(header[1:]), {_SCORED: values}, task=task))
