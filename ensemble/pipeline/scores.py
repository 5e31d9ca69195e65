"""A submission scored against labels, and its picture: `ensemble score`."""

from pathlib import Path

from ensemble.errors import UsageError
from ensemble.files.text_table import TableSource, TextTable
from ensemble.predictions.formats import in_memory, read
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.table import Oof
from ensemble.records import TASKS, Task, check_choice
from ensemble.reports import scorecard
from ensemble.reports.scorecard import Scorecard

_SCORED = "submission"


def score(
    submission: TableSource,
    labels: TableSource,
    label_column: str = "label",
    *,
    id_column: str | None = None,
    task: Task = "classification",
    png: Path | None = None,
) -> Scorecard:
    """Score a submission by every metric that it allows, joined by id.

    Args:
        submission: The id, then a label column or a column a class.
        labels: An id column and the labels.
        label_column: The column of the labels.
        id_column: The column of the ids; None takes `id`, or what `score_submission` says.
        task: What the submission predicts.
        png: Where to draw the confusion matrix and the scores, which takes matplotlib.

    Raises:
        UsageError: the two do not fit together, or a picture of a task without a matrix.
        StoreError: the disk refused the picture.
    """
    check_choice("task", task, Task)
    if TASKS[task].single:
        card = scorecard.score_submission(submission, labels, label_column, id_column)
    elif png is not None:
        raise UsageError(f"--png draws the confusion matrix of classes; {task} has none")
    else:
        card = scorecard.score_values(
            _predictions(submission, ForeignHints(task=task, id_column=id_column)),
            labels,
            label_column,
            id_column,
        )
    if png is not None:
        from ensemble.reports.figures import draw_scores

        draw_scores(card, png)
    return card


def _predictions(submission: TableSource, told: ForeignHints) -> Oof:
    """Return a submission as the predictions of one family."""
    if not isinstance(submission, TextTable):
        return read(submission, _SCORED, told)
    columns = dict(
        zip(submission.header, map(list, zip(*submission.rows, strict=True)), strict=True)
    )
    ids = columns.pop(submission.header[0])
    return in_memory(submission, _SCORED, ids, columns, told)
