"""Which views and folds of each family are worth their time: `ensemble choose`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import UsageError
from ensemble.evaluation import metrics
from ensemble.evaluation.joint_labels import read_joint_truth
from ensemble.evaluation.labels import check_grouped, read_truth
from ensemble.evaluation.metrics import Truth
from ensemble.files.csv_tables import column_of
from ensemble.files.text_table import TableSource
from ensemble.predictions.kept_views import Costs, KeptTasks, KeptViews
from ensemble.progress import Progress
from ensemble.recipe.policy import Policy
from ensemble.records import TASKS, check_choice
from ensemble.tuning import checks
from ensemble.tuning.budget import Budget
from ensemble.tuning.frontier import Judge, frontier
from ensemble.tuning.market import HeadMarket, Option
from ensemble.tuning.policies import Found, policy_of
from ensemble.tuning.task_market import TaskMarket
from ensemble.tuning.weigh import metric_named, steps_of
from ensemble.voting.weights import Pool

_POOLS: Final = ("linear", "log-linear")


@dataclass(frozen=True, slots=True)
class ChooseOrder:
    """What is to be chosen by: labels, the metric, and what an image or a run may take.

    `group` is a column of the labels: rows that belong together. `pool` None is the one that suits
    the metric.
    """

    labels: TableSource
    metric: str
    label_column: str = "label"
    id_column: str | None = None
    group: str | None = None
    pool: Pool | None = None
    budget: Budget = field(default_factory=Budget)


def choose(kept: KeptViews | KeptTasks, order: ChooseOrder, progress: Progress) -> Policy:
    """Choose views, folds and weights of each family by what they gain out of fold for their cost.

    Args:
        kept: Predictions with each view apart, and their costs.
        order: Labels, metric and budget.
        progress: Told of what makes the answer weak, and how far it is.

    Raises:
        UsageError: rows, labels or a metric that do not fit; or a budget that no choice is within.
    """
    found = found_in(kept, order, progress)
    progress.start(1 + len(np.unique(found.judge.folds)), 1, "folds")
    points = frontier(found.market, found.judge, progress.advance)
    return policy_of(found, points, order.budget)


def found_in(kept: KeptViews | KeptTasks, order: ChooseOrder, progress: Progress) -> Found:
    """Return what there is to choose from, in an order of its own, and what it is judged by.

    Raises:
        UsageError: as for `choose`.
    """
    if len(np.unique(kept.folds)) < 2:
        raise UsageError("all rows lie in one fold: what is chosen is scored on another fold's")
    notes: list[str] = []
    if isinstance(kept, KeptTasks):
        found = _of_tasks(kept, order, notes)
    else:
        found = _of_head(kept, order, notes, progress)
    for note in dict.fromkeys(notes):
        progress.warn(note)
    return found


def _of_head(kept: KeptViews, order: ChooseOrder, notes: list[str], progress: Progress) -> Found:
    kept = _ordered(kept)
    costs, metric = _costs_of([kept]), metric_named(order.metric, kept.task)
    y: Truth = read_truth(order.labels, kept.merged(), order.label_column, order.group,
                          id_column=order.id_column, tell=notes.append)  # fmt: skip
    groups = _groups(kept, order, notes.append)
    checks.check_rows(y, kept.classes, metric, kept.folds)
    options = _options([kept], costs)
    stack = np.stack([
        kept.columns[option.family][option.view].astype(np.float64) for option in options
    ])  # fmt: skip
    steps = steps_of(kept.classes, progress) if metric.name == "qwk" else ()
    if steps:
        stack, y = stack[:, :, steps], np.argsort(steps)[y.astype(np.int64)]
        metric = metrics.kappa_between([int(kept.classes[place]) for place in steps])
    judge = Judge(metric, kept.folds, groups, _pool(order.pool, metric))
    return Found(kept, costs, HeadMarket(options, stack, y, kept.task), judge, steps)


def _of_tasks(kept: KeptTasks, order: ChooseOrder, notes: list[str]) -> Found:
    kept = replace(kept, parts=tuple(map(_ordered, kept.parts)))
    costs, metric = _costs_of(kept.parts), metric_named(order.metric, kept.task)
    if order.pool == "linear" or metric.name in ("qwk", "brier"):
        raise UsageError(
            "--pool linear, --metric qwk and brier: labels of several tasks have no order, and are "
            "pooled log-linearly; leave them out"
        )
    kept.merged()  # refuses heads that do not go together
    y = read_joint_truth(order.labels, kept.ids, kept.label_map, order.label_column,
                         id_column=order.id_column, tell=notes.append)  # fmt: skip
    groups = _groups(kept, order, notes.append)
    checks.check_rows(y, kept.classes, metric, kept.folds)
    judge = Judge(metric, kept.folds, groups, "log-linear")
    return Found(kept, costs, TaskMarket(_options(kept.parts, costs), kept, y), judge)


def _options(parts: Sequence[KeptViews], costs: Costs) -> tuple[Option, ...]:
    """Return each family under each of its views, sorted."""
    told = {(family, view) for part in parts for family, views in part.columns.items()
            for view in views}  # fmt: skip
    return tuple(Option(f, v, costs.evaluations[f][v]) for f, v in sorted(told))


def _ordered(kept: KeptViews) -> KeptViews:
    """Return rows sorted by id and columns by name, so that no order changes a bit."""
    rows = np.array(sorted(range(len(kept.ids)), key=kept.ids.__getitem__), np.int64)
    columns = {
        family: {view: probs[rows] for view, probs in sorted(views.items())}
        for family, views in sorted(kept.columns.items())
    }
    ids = tuple(kept.ids[row] for row in rows)
    return replace(kept, ids=ids, columns=columns, folds=kept.folds[rows])


def _costs_of(parts: Sequence[KeptViews]) -> Costs:
    """Return the costs, which each family and view needs."""
    costs = parts[0].costs
    if costs is None or any(
        view not in costs.evaluations.get(family, {})
        for part in parts
        for family, views in part.columns.items()
        for view in views
    ):
        raise UsageError(
            "the predictions hold no costs of their views: make them with `ensemble oof "
            "--keep-views`, where the members will run"
        )
    return costs


def _groups(
    kept: KeptViews | KeptTasks, order: ChooseOrder, tell: Callable[[str], None]
) -> Indices | None:
    if order.group is None:
        return None
    named = column_of(order.labels, order.group, order.id_column, kept.ids, tell)
    check_grouped(named, kept.ids, order.labels)
    return checks.groups_of(kept.ids, named, kept.folds)


def _pool(told: Pool | None, metric: metrics.Metric) -> Pool:
    """Return the pool that suits a metric, or what was asked for where it suits."""
    linear = metric.name == "brier" or not TASKS[metric.task].bounded
    if told is None:
        return "linear" if linear else "log-linear"
    if told not in _POOLS:
        check_choice("pool", told, Pool)
        raise UsageError(f"--pool {told}: a choice pools by probabilities; say one of {_POOLS}")
    if told == "log-linear" and linear:
        raise UsageError(f"--pool log-linear does not suit {metric.name}; leave it out")
    return told
