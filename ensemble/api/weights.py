"""Weights tuned in Python."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ensemble.api.arguments import ById, by_id, oof_of, rows_of
from ensemble.arrays import Indices
from ensemble.errors import UsageError
from ensemble.evaluation.folds import folds_of
from ensemble.evaluation.labels import given_truth
from ensemble.predictions.table import Oof
from ensemble.progress import Progress, Quiet
from ensemble.records import Task
from ensemble.voting.weights import Polish, Pool, Weights

if TYPE_CHECKING:
    import pandas as pd


def tune_weights(
    oof: "Oof | Mapping[str, pd.DataFrame]",
    labels: "ById[object] | pd.DataFrame",
    *,
    metric: str,
    folds: ById[int] | None = None,
    groups: ById[object] | None = None,
    pool: Pool | None = None,
    polish: Polish = "auto",
    holdout: "Oof | Mapping[str, pd.DataFrame] | None" = None,
    holdout_labels: ById[object] | None = None,
    task: Task | None = None,
    progress: Progress | None = None,
) -> Weights:
    """Find blend weights and what they are worth; `ensemble tune-weights` in Python.

    What is given by id is a mapping, or a pandas Series with the ids in its index.

    Args:
        oof: What `predict_oof` or `oof.read` gave, or a frame for each family: ids in the index,
            a column a class, as `task` has it.
        labels: The class of each id, or the value of a single target; or a frame with ids in the
            index and a column a class, 0 or 1 (multilabel) or values (regression).
        metric: A metric by name, or "pkg.mod:fn".
        folds: The fold of each id, where `oof` does not say.
        groups: The group of each id: rows that belong together.
        pool: "linear", "log-linear" or "rank"; None for the metric's default.
        polish: Whether to chase the metric itself: "auto", "always" or "off".
        holdout: As `oof`, of rows outside all folds, each family the mean of its folds: the
            temperature is fitted on them.
        holdout_labels: The class of each of these rows; None takes it from `labels`.
        task: What the frames hold: "classification" (rows that sum to 1), "multilabel" or
            "regression"; None for what `oof` says, and for classification.
        progress: Told of what makes the answer weak.

    Returns:
        The weights, ready for `run` and `vote`; `evidence` holds the report.

    Raises:
        UsageError: predictions, labels, folds or groups do not fit together.
    """
    from ensemble.tuning import weigh
    from ensemble.tuning.tune import calibrate
    from ensemble.tuning.weigh import TuneOrder

    if holdout is None and holdout_labels is not None:
        raise UsageError("holdout_labels are of the rows of holdout; give both")
    joined = oof_of(oof, task or "classification")
    if task not in (None, joined.task):
        raise UsageError(f"the predictions are {joined.task}, not {task}")
    if folds is not None:
        placed = by_id(folds, "folds")
        joined = replace(joined, folds=folds_of(joined.ids, placed, "folds"))
    y = given_truth(rows_of(labels, joined.classes), joined)
    order = TuneOrder((), Path(), metric, pool=pool, polish=polish)
    numbers = None if groups is None else _numbered(groups, joined)
    weights = weigh.weigh(joined, y, order, numbers, progress or Quiet())
    if holdout is None:
        return weights
    held = oof_of(holdout, joined.task)
    given = labels if holdout_labels is None else holdout_labels
    truth = given_truth(rows_of(given, held.classes), held)
    return calibrate(weights, held, truth, joined.ids)


def _numbered(groups: ById[object], joined: Oof) -> Indices:
    """Return the group of each row as a number, int64 (N,)."""
    from ensemble.tuning.checks import groups_of

    texts = {name: str(group) for name, group in by_id(groups, "groups").items()}
    return groups_of(joined.ids, texts, joined.folds)
