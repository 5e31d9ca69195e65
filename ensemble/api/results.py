"""The Python API of what looks, and runs no model: folds, scores, differences, early exits."""

from pathlib import Path

from ensemble import progress_bar
from ensemble.api.arguments import (
    ById,
    Paths,
    TableGiven,
    decode_of,
    folder_of,
    optional_table,
    path_of,
    submission_of,
    table_of,
    texts_of,
)
from ensemble.early_exit import verify
from ensemble.early_exit.verify import Audit
from ensemble.errors import UsageError
from ensemble.evaluation.folds import FoldReport
from ensemble.pipeline.scores import score
from ensemble.records import (
    DecodePolicy,
    IdFrom,
    Task,
)
from ensemble.reports import compare
from ensemble.reports.compare import Difference
from ensemble.reports.scorecard import Scorecard
from ensemble.submission import ledger
from ensemble.submission.publish import Submission


def split_folds(
    labels: TableGiven | ById,
    out: str | Path | None = None,
    *,
    k: int | None = None,
    label_col: str = "label",
    group: str | None = None,
    seed: int | None = None,
    check: TableGiven | ById | None = None,
    images: Paths = (),
    id_from: IdFrom = "stem",
    decode: DecodePolicy | None = None,
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
        group: A column of `labels`: rows that stay together.
        seed: Shuffles the rows; None for 0.
        check: Folds to look at, a table with `id` and `fold`, or the fold of each id:
            none are made, nothing is written.
        images: As for `run`: the same image in two folds is found too.
        id_from: As for `run`.
        decode: As for `run`.
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
            table_of(labels, "labels", label_col),
            label_col,
            k=5 if k is None else k,
            group=group,
            seed=seed or 0,
            check=optional_table(check, "check", "fold"),
            images=texts_of(images, "images"),
            id_from=id_from,
            decode=decode_of(decode),
            force=force,
            out=Path(out or "folds.csv"),
            progress=told,
        )


def score_submission(
    submission: TableGiven | Submission,
    labels: TableGiven | ById,
    *,
    label_col: str = "label",
    task: Task = "classification",
    png: str | Path | None = None,
) -> Scorecard:
    """Score a submission by every metric that it allows; `ensemble score` in Python.

    Args:
        submission: A CSV file, the folder of a run, what `run` gave, or a DataFrame.
        labels: A CSV or a DataFrame with the labels, or the label of each id.
        label_col: The column of the labels.
        task: What the submission predicts.
        png: Where to draw the confusion matrix and the scores, which takes the extra `tune`.

    Returns:
        The scores with their 95 % bootstrap intervals, and the confusion matrix of classes.

    Raises:
        UsageError: the two do not fit together.
        StoreError: the disk refused the picture.
    """
    given, truth = submission_of(submission, "submission"), table_of(labels, "labels", label_col)
    return score(given, truth, label_col, task=task, png=path_of(png))


def diff_submissions(first: TableGiven | Submission, second: TableGiven | Submission) -> Difference:
    """Compare two submissions: files, runs' folders, what `run` gave, or DataFrames.

    `ensemble diff` in Python.

    Raises:
        UsageError: they name other ids or columns.
    """
    return compare.compare(submission_of(first, "first"), submission_of(second, "second"))


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
