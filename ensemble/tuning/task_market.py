"""What can be bought of the tasks of a label map: families answer a task each, or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.evaluation.metrics import METRICS, Metric
from ensemble.label_map import LabelMap
from ensemble.predictions.kept_views import KeptTasks, KeptViews
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions
from ensemble.records import Task
from ensemble.tuning import joint
from ensemble.tuning.fit import ruled
from ensemble.tuning.market import Chosen, Fitted, Option, Rows, bases_of
from ensemble.voting.lift import TaskColumn, class_places, groups_of, lifted
from ensemble.voting.weights import Pool

_TASK: Task = "classification"
_LEAST = 1e-15
"""What a probability counts as at least in a loss."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskMarket:
    """Options of the heads of several tasks, and the label of each row; see `Market`."""

    options: tuple[Option, ...]
    kept: KeptTasks
    y: Indices

    @property
    def label_map(self) -> LabelMap:
        """What makes one label of the tasks."""
        return self.kept.label_map

    def among(self, rows: Rows) -> "TaskMarket":
        """Return the same options on some rows."""
        places = np.arange(len(self.y))[rows]
        parts = tuple(_rows_of(part, places) for part in self.kept.parts)
        return TaskMarket(self.options, replace(self.kept, parts=parts), self.y[rows])

    def answers(self, chosen: Chosen) -> bool:
        """Tell whether options answer every task, or the label."""
        return bool(chosen) and joint.answerable(self._said(chosen), self.label_map)

    def starts(self) -> list[Chosen]:
        """Return each family that answers alone, the cheapest one a task, and the likeliest."""
        bases = {self.options[place].family: place for place in bases_of(self.options)}
        found: set[Chosen] = {(place,) for place in bases.values() if self.answers((place,))}
        columns = self._honest(tuple(sorted(bases.values())))[0]
        seconds = [self.options[bases[each.family]].seconds for each in columns]
        unlikely = [float(self._surprise(each).mean()) for each in columns]
        for worth in (seconds, unlikely):
            if one_a_task := self._least(columns, worth):
                found.add(tuple(sorted({bases[each.family] for each in one_a_task})))
        return sorted(found)

    def columns(self, chosen: Chosen) -> list[tuple[str, str]]:
        """Return what each family says of each task that it answers."""
        return [(each.name, each.family) for each in self._said(chosen)]

    def fit(self, chosen: Chosen, metric: Metric, pool: Pool) -> Fitted:
        """Fit the lifted pool, which is log-linear, and the spreads of values."""
        return self._fitted(chosen, metric)[0]

    def predicted(self, chosen: Chosen, fitted: Fitted) -> Pooled:
        """Return what a metric sees, (N, K)."""
        columns = self._tasks(chosen).columns(fitted.spreads)
        return fitted.blend.predicted(lifted(columns, self.label_map))

    def losses(self, chosen: Chosen) -> Vector:
        """Return the log-loss of each row's label, (N,)."""
        fitted, columns = self._fitted(chosen, METRICS[_TASK]["log_loss"])
        probs = fitted.blend.probs(lifted(columns, self.label_map))
        return _logs(probs, self.y)

    def own_losses(self, chosen: Chosen) -> Vector:
        """Return the log-losses of the tasks that a family answers, summed, (N,)."""
        own = [self._surprise(each) for each in self._honest(chosen)[0]]
        return np.asarray(np.sum(own, axis=0), np.float64)

    def _fitted(self, chosen: Chosen, metric: Metric) -> tuple[Fitted, list[TaskColumn]]:
        columns, spreads = self._honest(chosen)
        stack = lifted(columns, self.label_map)
        groups, places = groups_of(columns, self.label_map), class_places(self.label_map)
        blend = joint.lifted_pool(stack, self.y, groups, places)
        return Fitted(ruled(blend, stack, self.y, metric), spreads), columns

    def _honest(self, chosen: Chosen) -> tuple[list[TaskColumn], Mapping[str, float]]:
        """Return columns, a row's values cut by the spread of the other folds, and the spreads.

        Where one fold is all there is, the other of two being held out, it is that of all rows.
        """
        several = len(np.unique(self.kept.folds)) > 1
        folds = self.kept.folds if several else None
        return joint.with_spreads(self._said(chosen), self.label_map, self.y, folds)

    def _said(self, chosen: Chosen) -> list[TaskColumn]:
        return self._tasks(chosen).columns()

    def _tasks(self, chosen: Chosen) -> TaskPredictions:
        """Return what the families of options say, each the mean over its chosen views."""
        views: dict[str, list[str]] = {}
        for option in (self.options[place] for place in chosen):
            views.setdefault(option.family, []).append(option.view)
        parts = [_merged(part, views) for part in self.kept.parts]
        return TaskPredictions(self.label_map, tuple(part for part in parts if part.families))

    def _surprise(self, column: TaskColumn) -> Vector:
        """Return the log-loss of each row, (N,), of what a column answers."""
        return _logs(column.probs, joint.truths(self.label_map, self.y)[column.task])

    def _least(self, columns: Sequence[TaskColumn], worth: Sequence[float]) -> list[TaskColumn]:
        """Return the column of each task of which a number is least; none where one has none."""
        found = []
        for name in self.label_map.names:
            own = [(n, each.name, each) for n, each in zip(worth, columns, strict=True)
                   if each.task == name]  # fmt: skip
            if not own:
                return []
            found.append(min(own, key=lambda each: each[:2])[2])
        return found


def _merged(part: KeptViews, views: Mapping[str, Sequence[str]]) -> Predictions:
    return Predictions(
        ids=part.ids,
        classes=part.classes,
        families={
            family: np.stack([part.columns[family][v] for v in own]).astype(np.float64).mean(0)
            for family, own in sorted(views.items())
            if family in part.columns
        },
        folds=part.folds,
        members={},
        task=part.task,
        output=part.output,
        ordinal=part.ordinal,
    )


def _rows_of(part: KeptViews, places: Indices) -> KeptViews:
    columns = {
        family: {view: probs[places] for view, probs in views.items()}
        for family, views in part.columns.items()
    }
    ids = tuple(part.ids[place] for place in places)
    return replace(part, ids=ids, columns=columns, folds=part.folds[places])


def _logs(probs: Pooled, y: Indices) -> Vector:
    return np.asarray(-np.log(np.maximum(probs[np.arange(len(y)), y], _LEAST)), np.float64)
