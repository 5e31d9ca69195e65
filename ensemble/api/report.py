"""The Python API of the page: one file of HTML to read and hand on."""

from pathlib import Path

from ensemble import progress_bar
from ensemble.api.arguments import ClassesGiven, Paths, TasksGiven, classes_in, texts_of
from ensemble.api.tables import ById, TableGiven, read_label_map_of, submission_of, table_of
from ensemble.errors import UsageError
from ensemble.files.text_table import TableSource
from ensemble.recipe.policy import Policy
from ensemble.records import IdFrom, Task
from ensemble.reports.scorecard import Labels
from ensemble.submission.publish import Submission
from ensemble.voting.weights import Weights


def report(
    given: TableGiven | Submission | Weights | Policy,
    labels: TableGiven | ById | None = None,
    out: str | Path = "report.html",
    *,
    label_col: str = "label",
    id_col: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    group: str | None = None,
    classes: ClassesGiven = (),
    task: Task | None = None,
    images: Paths = (),
    id_from: IdFrom | None = None,
    image_col: str | None = None,
    most: int = 8,
    progress: progress_bar.Given = "auto",
) -> Path:
    """Make one page of a run, predictions, weights, a policy or crops; `ensemble report` in Python.

    Needs the extra `tune`.

    Args:
        given: The folder of a run, or what `run` gave; a submission or a DataFrame; a file of
            predictions; weights or a policy, or their files; a table of crops.
        labels: A CSV or a DataFrame with the labels, or the label of each id; None for no scores.
        out: The file to write.
        label_col: The column of the labels.
        id_col: The column of the ids; see `score_submission`.
        label_map: As for `run`; None takes that of the run.
        tasks: What is declared of its tasks.
        group: A column of `labels`: rows that are drawn together for the intervals.
        classes: All classes in order, where it is not that of whole numbers.
        task: What is predicted; None takes what the file says, else classification.
        images: Where pictures come from, as for `run`; empty takes the images of the run.
        id_from: What the id of an image is; None takes what the run says.
        image_col: The column of images in Parquet files.
        most: The most images of a cell of the confusion matrix.
        progress: Told of what the page lacks; see `run`.

    Returns:
        The path of the page.

    Raises:
        UsageError: what is given is none of these, or does not go with the labels.
        StoreError: the disk refused.
    """
    from ensemble.pipeline import report as pages
    from ensemble.pipeline.report_order import ReportOrder

    if labels is None and group is not None:
        raise UsageError("group is a column of the labels: give labels too")
    truth = None
    if labels is not None:
        table = table_of(labels, "labels", label_col, id_col)
        truth = Labels(table, label_col, id_col, group, classes_in(classes))
    order = ReportOrder(
        Path(out),
        truth,
        read_label_map_of(label_map, tasks),
        task,
        texts_of(images, "images"),
        id_from,
        id_col,
        image_col,
        most,
    )
    with progress_bar.shown(progress) as told:
        return pages.report(_given(given, id_col), order, told)


def _given(
    given: TableGiven | Submission | Weights | Policy, id_col: str | None
) -> TableSource | Weights | Policy:
    """Return what a page is of: a path, a frame as a table, or what it is already."""
    if isinstance(given, Weights | Policy):
        return given
    if isinstance(given, Submission):
        return given.folder
    if isinstance(given, str | Path):
        return Path(given)
    return submission_of(given, "given", id_col)
