"""Weights tuned in Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ensemble import progress_bar
from ensemble.api.arguments import ClassesGiven, TasksGiven, path_of, texts_of
from ensemble.api.predictions import PredictionsGiven, hints_of, predictions_of, tasks_of
from ensemble.api.tables import (
    ById,
    TableGiven,
    optional_table,
    read_label_map_of,
    table_of,
)
from ensemble.errors import UsageError
from ensemble.files.text_table import TableSource
from ensemble.predictions.tasks import TaskPredictions
from ensemble.recipe.track import tracks_of
from ensemble.records import Task
from ensemble.voting.weights import Polish, Pool, Weights, Write


def tune_weights(
    oof: PredictionsGiven | TaskPredictions,
    labels: TableGiven | ById,
    *,
    metric: str = "log_loss",
    label_col: str = "label",
    id_col: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    folds: TableGiven | ById | None = None,
    group: TableGiven | ById | None = None,
    pool: Pool | Literal["auto"] = "auto",
    polish: Polish = "auto",
    write: Write = "auto",
    holdout: PredictionsGiven | None = None,
    holdout_labels: TableGiven | ById | None = None,
    rows_of: TableGiven | None = None,
    classes: ClassesGiven | None = None,
    task: Task | None = None,
    out: str | Path | None = None,
    track: str | Sequence[str] = (),
    progress: progress_bar.Given = "auto",
) -> Weights:
    """Find blend weights and what they are worth; `ensemble tune-weights` in Python.

    Tables are paths of CSVs, or DataFrames with their ids in the column `id`, or else in the index.

    Args:
        oof: What `predict_oof` or `Oof.load` gave; or files; or a mapping of families to files or
            DataFrames, a column a class.
        labels: A table with the column `label_col`, or with a column a class, 0 or 1 (multilabel)
            or values (regression); or by id the class, or the value of a single target.
        metric: A metric by name, or "pkg.mod:fn".
        label_col: The column of the labels.
        id_col: The column of the ids; None takes `id`, or the one that holds those of `oof`.
        label_map: As for `run`: weights of several tasks, of what `predict_oof` gave with it.
        tasks: What is declared of its tasks.
        folds: A table with a column `fold`, or the fold of each id, where `oof` does not say.
        group: A column of the labels, by its name; or a Path or DataFrame with a column `group`, or
            the group of each id: rows that belong together.
        pool: "linear", "log-linear" or "rank"; "auto" for the metric's default.
        polish: Whether to chase the metric itself: "auto", "always" or "off".
        write: Which blend is written: by the evidence ("auto"), or always the best that was fitted
            ("tuned"), the plain "mean" or the "best" single family.
        holdout: As `oof`, of rows outside all folds, each family the mean of its folds: the
            temperature is fitted on them.
        holdout_labels: As `labels`, of these rows; None takes them from `labels`.
        rows_of: For a .npy, which holds no ids: the table whose rows it follows.
        classes: For files that name no classes: their names, in the order of the columns.
        task: What files from elsewhere and frames hold: "classification" (rows that sum to 1),
            "multilabel" or "regression"; None for what `oof` says, and for classification.
        out: The weights.json to write, with a picture beside it; None writes none.
        track: As for `run`.
        progress: Told of what makes the answer weak; see `run`.

    Returns:
        The weights, ready for `run` and `vote`; `evidence` holds the report.

    Raises:
        UsageError: an argument of another type; or predictions, labels, folds or groups do not fit
            together.
        StoreError: the disk refused.
    """
    from ensemble.pipeline.tune import tune, tune_joint
    from ensemble.tuning.weigh import TuneOrder

    if holdout is None and holdout_labels is not None:
        raise UsageError("holdout_labels are of the rows of holdout; give both")
    tracks = tracks_of(texts_of(track, "track"))
    mapped = read_label_map_of(label_map, tasks)
    if mapped is None and isinstance(oof, TaskPredictions):
        mapped = oof.label_map
    hints = hints_of([oof, holdout], rows_of, classes, task, id_col)
    group_column, groups = _groups_of(group, id_col)
    order = TuneOrder(
        files=(),
        labels=table_of(labels, "labels", label_col, id_col),
        metric=metric,
        label_column=label_col,
        id_column=id_col,
        folds=optional_table(folds, "folds", "fold", id_col),
        group=group_column,
        groups=groups,
        pool=None if pool == "auto" else pool,
        polish=polish,
        write=write,
        holdout_labels=optional_table(holdout_labels, "holdout_labels", label_col, id_col),
        label_map=mapped,
    )
    if mapped is not None:
        if holdout is not None:
            raise UsageError("holdout: weights of a label map have no temperature of their own")
        found = tasks_of(oof, "oof", hints, mapped)
        with progress_bar.shown(progress) as told:
            return tune_joint(found, order, told, out=path_of(out), tracks=tracks)
    if isinstance(oof, TaskPredictions):
        raise UsageError("oof: predictions of several tasks need their label_map")
    held = None if holdout is None else predictions_of(holdout, "holdout", hints)
    joined = predictions_of(oof, "oof", hints)
    with progress_bar.shown(progress) as told:
        return tune(joined, held, order, told, out=path_of(out), tracks=tracks)


def _groups_of(
    group: TableGiven | ById | None, id_col: str | None
) -> tuple[str | None, TableSource | None]:
    """Return the column of the groups, and its table where it is not that of the labels."""
    if group is None or isinstance(group, str):
        return group, None
    return "group", table_of(group, "group", "group", id_col)
