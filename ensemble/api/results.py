"""The Python API of what looks, and runs no model: folds, scores, differences, early exits."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ensemble.early_exit import verify
from ensemble.early_exit.verify import Audit
from ensemble.errors import UsageError
from ensemble.progress import Progress
from ensemble.records import (
    TASKS,
    DecodePolicy,
    IdFrom,
    Task,
)
from ensemble.submission import ledger
from ensemble.submission.publish import Submission

if TYPE_CHECKING:
    pass
from ensemble.api.arguments import path_of
from ensemble.evaluation.folds import FoldReport
from ensemble.pipeline import folds
from ensemble.records import check_choice
from ensemble.reports import compare, scorecard
from ensemble.reports.compare import Difference
from ensemble.reports.scorecard import Scorecard
from ensemble.submission.folder import submission_at


def split_folds(
    labels: str | Path,
    out: str | Path | None = None,
    *,
    k: int | None = None,
    label_column: str = "label",
    group: str | None = None,
    seed: int | None = None,
    check: str | Path | None = None,
    images: Iterable[str | Path] = (),
    id_from: IdFrom = "stem",
    decode: DecodePolicy | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> FoldReport:
    """Split the rows of a table into folds, or check folds; `ensemble folds` in Python.

    Needs the extra `tune`.

    Args:
        labels: A CSV with an id column and the labels.
        out: The file to write; None for folds.csv.
        k: So many folds; None for 5.
        label_column: The column of the labels.
        group: A column of `labels`: rows that stay together.
        seed: Shuffles the rows; None for 0.
        check: A CSV with `id` and `fold`: folds to look at; none are made, nothing is written.
        images: As for `run`: the same image in two folds is found too.
        id_from: As for `run`.
        decode: As for `run`.
        force: Replace another file in `out`.
        progress: Told of images that look alike, and how far it is.

    Returns:
        How many rows of each class each fold has; what leaks, where `check` was given.

    Raises:
        UsageError: tables that do not fit together, or folds that cannot be made or would leak.
        StoreError: the disk refused.
    """
    if check is not None and (k, seed, out) != (None, None, None):
        raise UsageError("check makes no folds; leave out k, seed and out")
    return folds.split(
        Path(labels),
        label_column,
        k=5 if k is None else k,
        group=group,
        seed=seed or 0,
        check=None if check is None else Path(check),
        images=(str(images),) if isinstance(images, str | Path) else tuple(map(str, images)),
        id_from=id_from,
        decode=decode,
        force=force,
        out=Path(out or "folds.csv"),
        progress=progress,
    )


def score_submission(
    submission: str | Path,
    labels: str | Path,
    *,
    label_column: str = "label",
    task: Task = "classification",
) -> Scorecard:
    """Score a submission by every metric that it allows; `ensemble score` in Python.

    Args:
        submission: A CSV file, or the folder of a run.
        labels: A CSV with an id column and the labels.
        label_column: The column of the labels.
        task: What the submission predicts.

    Returns:
        The scores with their 95 % bootstrap intervals, and the confusion matrix of classes.

    Raises:
        UsageError: the two do not fit together.
    """
    check_choice("task", task, Task)
    given = submission_at(Path(submission))
    if TASKS[task].single:
        return scorecard.score_submission(given, Path(labels), label_column)
    return scorecard.score_values(given, Path(labels), task, label_column)


def diff_submissions(first: str | Path, second: str | Path) -> Difference:
    """Compare two submissions, files or those of runs' folders; `ensemble diff` in Python.

    Raises:
        UsageError: they name other ids or columns.
    """
    return compare.compare(Path(first), Path(second))


def verify_exit(run: str | Path | Submission, store: str | Path | None = None) -> Audit:
    """Replay the exits of a run, or of its folder, from what it stored; `ensemble verify-exit`.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    folder = run.folder if isinstance(run, Submission) else Path(run)
    return verify.verify_exit(folder, path_of(store))


def record_public(run_folder: str | Path, public: float) -> dict[str, str]:
    """Record what the leaderboard said of a run; `ensemble score --public` in Python.

    Args:
        run_folder: Where the run wrote; its line stands in the `ledger.csv` beside that folder.
        public: The score.

    Returns:
        The line as it was before.

    Raises:
        UsageError: the number is not finite, or the ledger has no line of this submission.
        StoreError: the disk refused.
    """
    return ledger.record_public(Path(run_folder), public)
