"""A policy chosen in Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ensemble import progress_bar
from ensemble.api.arguments import TasksGiven, path_of, texts_of
from ensemble.api.tables import ById, TableGiven, read_label_map_of, table_of
from ensemble.predictions.kept_views import KeptTasks, KeptViews
from ensemble.recipe.policy import Policy
from ensemble.recipe.track import tracks_of


def choose(
    oof: KeptViews | KeptTasks | str | Path | Sequence[str | Path],
    labels: TableGiven | ById,
    *,
    metric: str = "log_loss",
    label_col: str = "label",
    id_col: str | None = None,
    group: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    pool: Literal["auto", "linear", "log-linear"] = "auto",
    budget: str | None = None,
    evals: float | None = None,
    seconds: str | None = None,
    images: int | None = None,
    out: str | Path | None = None,
    track: str | Sequence[str] = (),
    progress: progress_bar.Given = "auto",
) -> Policy:
    """Choose the views and folds that are worth their time; `ensemble choose` in Python.

    Args:
        oof: What `predict_oof` with `keep_views` gave, or its files.
        labels: As for `tune_weights`.
        metric: What points are scored by; the log-loss selects.
        label_col: The column of the labels.
        id_col: The column of the ids; None takes `id`, or the one that holds those of `oof`.
        group: A column of the labels: rows that belong together.
        label_map: As for `run`, where `oof` are files of the heads of several tasks.
        tasks: What is declared of its tasks.
        pool: How families are pooled: "linear" where a lossless early exit is wanted.
        budget: What an image may take, such as "5ms".
        evals: How many evaluations an image may have.
        seconds: What a run over `images` images may take, such as "3h".
        images: How many images that run has.
        out: The policy.json to write, with frontier.png beside it; None writes none.
        track: As for `run`.
        progress: Told of what makes the answer weak; see `run`.

    Returns:
        The policy, ready for `run`; `frontier` holds what was weighed up.

    Raises:
        UsageError: what does not fit together, or a budget that no choice is within.
        StoreError: the disk refused.
    """
    from ensemble.pipeline.choose import choose_files, choose_policy
    from ensemble.tuning.budget import budget_of
    from ensemble.tuning.choose import ChooseOrder

    order = ChooseOrder(
        labels=table_of(labels, "labels", label_col, id_col),
        metric=metric,
        label_column=label_col,
        id_column=id_col,
        group=group,
        pool=None if pool == "auto" else pool,
        budget=budget_of(budget=budget, evals=evals, seconds=seconds, images=images),
    )
    mapped, tracks = read_label_map_of(label_map, tasks), tracks_of(texts_of(track, "track"))
    with progress_bar.shown(progress) as told:
        if isinstance(oof, KeptViews | KeptTasks):
            return choose_policy(oof, order, told, out=path_of(out), tracks=tracks)
        files = list(map(Path, texts_of(oof, "oof")))
        return choose_files(files, order, told, out=path_of(out), label_map=mapped, tracks=tracks)
