"""The Python API of what looks, and runs no model: folds, scores, differences, early exits."""

from collections.abc import Sequence
from pathlib import Path

from ensemble import progress_bar
from ensemble.api.arguments import (
    ClassesGiven,
    Paths,
    TasksGiven,
    classes_in,
    decode_of,
    folder_of,
    path_of,
    texts_of,
)
from ensemble.api.tables import (
    ById,
    TableGiven,
    optional_table,
    read_label_map_of,
    submission_of,
    table_of,
)
from ensemble.early_exit import verify
from ensemble.early_exit.verify import Audit
from ensemble.errors import UsageError
from ensemble.evaluation.folds import FoldReport
from ensemble.pipeline.scores import score
from ensemble.recipe.track import tracks_of
from ensemble.records import (
    DecodePolicy,
    IdFrom,
    Task,
)
from ensemble.reports import compare
from ensemble.reports.compare import Difference
from ensemble.reports.scorecard import Labels, Scorecard
from ensemble.submission import ledger
from ensemble.submission.publish import Submission


def split_folds(
    labels: TableGiven | ById,
    out: str | Path | None = None,
    *,
    k: int | None = None,
    label_col: str = "label",
    id_col: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    group: str | None = None,
    seed: int | None = None,
    check: TableGiven | ById | None = None,
    images: Paths = (),
    id_from: IdFrom = "stem",
    image_col: str | None = None,
    decode: DecodePolicy | None = None,
    crops: TableGiven | None = None,
    force: bool = False,
    progress: progress_bar.Given = "auto",
) -> FoldReport:
    """Split the rows of a table into folds, or check folds; `ensemble folds` in Python.

    Needs the extra `tune`.

    Args:
        labels: A CSV or a DataFrame with the labels, or the label of each id.
        out: The file to write; None for folds.csv.
        k: So many folds; None for 5.
        label_col: The column of the labels.
        id_col: The column of the ids; None takes `id`, or the one that holds the images' ids.
        label_map: As for `run`: the folds are stratified by its labels, be they in a column or made
            of columns of tasks.
        tasks: What is declared of its tasks.
        group: A column of `labels`: rows that stay together.
        seed: Shuffles the rows; None for 0.
        check: Folds to look at, a table with `id` and `fold`, or the fold of each id:
            none are made, nothing is written.
        images: As for `run`: the same image in two folds is found too.
        id_from: As for `run`.
        image_col: As for `run`.
        decode: As for `run`.
        crops: The box of each image, whose look counts.
        force: Replace another file in `out`.
        progress: Told of images that look alike, and how far it is; see `run`.

    Returns:
        How many rows of each class each fold has; what leaks, where `check` was given.

    Raises:
        UsageError: tables that do not fit together, or folds that cannot be made or would leak.
        StoreError: the disk refused.
    """
    from ensemble.pipeline import folds

    if check is not None and (k, seed, out) != (None, None, None):
        raise UsageError("check makes no folds; leave out k, seed and out")
    with progress_bar.shown(progress) as told:
        return folds.split(
            table_of(labels, "labels", label_col, id_col),
            label_col,
            id_column=id_col,
            label_map=read_label_map_of(label_map, tasks),
            k=5 if k is None else k,
            group=group,
            seed=seed or 0,
            check=optional_table(check, "check", "fold", id_col),
            images=texts_of(images, "images"),
            id_from=id_from,
            image_col=image_col,
            decode=decode_of(decode),
            crops=optional_table(crops, "crops", id_col=id_col),
            force=force,
            out=Path(out or "folds.csv"),
            progress=told,
        )


def score_submission(
    submission: TableGiven | Submission,
    labels: TableGiven | ById,
    *,
    label_col: str = "label",
    id_col: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    group: str | None = None,
    classes: ClassesGiven = (),
    task: Task | None = None,
    png: str | Path | None = None,
    track: str | Sequence[str] = (),
    progress: progress_bar.Given = "auto",
) -> Scorecard:
    """Score a submission by every metric that it allows; `ensemble score` in Python.

    Args:
        submission: A CSV file, the folder of a run, what `run` gave, or a DataFrame; or predictions
            in a Parquet or .npz, such as an OOF file.
        labels: A CSV or a DataFrame with the labels, or the label of each id.
        label_col: The column of the labels.
        id_col: The column of the ids; None takes `id`, of the submission else the first, and of the
            labels else the one that holds the submission's ids.
        label_map: As for `run`: scores of each task too, in `tasks` of what is returned.
        tasks: What is declared of its tasks.
        group: A column of `labels`: rows that are drawn together for the intervals.
        classes: All classes in order, where it is not that of whole numbers.
        task: What the submission predicts; None takes what the run says, else classification.
        png: Where to draw the confusion matrix and the scores, which takes the extra `tune`.
        track: As for `run`.
        progress: Told of what trackers do.

    Returns:
        The scores with their 95 % bootstrap intervals, and the confusion matrix of classes.

    Raises:
        UsageError: the two do not fit together.
        StoreError: the disk refused the picture.
    """
    given = submission_of(submission, "submission", id_col)
    truth = table_of(labels, "labels", label_col, id_col)
    said = Labels(truth, label_col, id_col, group, classes_in(classes))
    mapped = read_label_map_of(label_map, tasks)
    tracks = tracks_of(texts_of(track, "track"))
    with progress_bar.shown(progress) as told:
        return score(
            given, said, told, task=task, png=path_of(png), label_map=mapped, tracks=tracks
        )


def diff_submissions(
    first: TableGiven | Submission,
    second: TableGiven | Submission,
    *,
    id_col: str | None = None,
) -> Difference:
    """Compare two submissions: files, runs' folders, what `run` gave, or DataFrames.

    `ensemble diff` in Python. The ids stand in `id_col`, in the column `id`, or in the first.

    Raises:
        UsageError: they name other ids or columns.
    """
    one, two = submission_of(first, "first", id_col), submission_of(second, "second", id_col)
    return compare.compare(one, two, id_col)


def verify_exit(run: str | Path | Submission, store: str | Path | None = None) -> Audit:
    """Replay the exits of a run, or of its folder, from what it stored; `ensemble verify-exit`.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    return verify.verify_exit(folder_of(run), path_of(store))


def record_public(run: str | Path | Submission, public: float) -> dict[str, str]:
    """Record what the leaderboard said of a run; `ensemble score --public` in Python.

    Args:
        run: Where the run wrote, or what it gave; its line stands in the `ledger.csv` beside that
            folder.
        public: The score.

    Returns:
        The line as it was before.

    Raises:
        UsageError: the number is not finite, or the ledger has no line of this submission.
        StoreError: the disk refused.
    """
    return ledger.record_public(folder_of(run), public)
