"""Out-of-fold predictions with each view kept apart, of one head or of the tasks of a label map."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled
from ensemble.label_map import LABEL, LabelMap
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.records import Merge, Ordinal, Quarantined, Task
from ensemble.views.families import merged_as
from ensemble.views.merging import merge_views
from ensemble.views.spelling import read_view

Apart: TypeAlias = Mapping[str, Mapping[str, NDArray[np.float32] | Pooled]]
"""By family and the spelling of a view, in the order of the family's views: float (N, C)."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured where the views were scored, in seconds.

    `session` is what it takes to start a member, and `image` what an image costs whatever looks at
    it: read, hashed, decoded and resized. `evaluations` has what one member of a family takes for
    one image under one view, by family and the view's spelling. `provider` computed.
    """

    session: float
    image: float
    evaluations: Mapping[str, Mapping[str, float]]
    provider: str = ""


@dataclass(frozen=True, slots=True)
class KeptViews:
    """Predictions of N rows, each by the members that did not see it, under each view apart.

    `folds` int64 (N,) has the fold of each row, `members` the hash of each fold's member by family.
    `merge` is the rule by which the views of a family become one. `costs` are None where nobody
    measured them. `ordinal` says what the thresholds of a head of such are.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    columns: Apart
    folds: Indices
    members: Mapping[str, Mapping[int, str]]
    merge: Merge = "mean"
    task: Task = "classification"
    output: str = "label"
    quarantined: tuple[Quarantined, ...] = ()
    costs: Costs | None = None
    ordinal: Ordinal | None = None

    def merged(self) -> Predictions:
        """Return the families' predictions, float64 (N, C), as a run merges their views."""
        stacks = {
            family: np.stack([probs.astype(np.float64) for probs in views.values()])
            for family, views in self.columns.items()
        }
        return Predictions(
            ids=self.ids,
            classes=self.classes,
            families={f: merge_views(each, self.merge, self.task) for f, each in stacks.items()},
            folds=self.folds,
            members={f: tuple(h for _, h in sorted(m.items())) for f, m in self.members.items()},
            task=self.task,
            quarantined=self.quarantined,
            output=self.output,
            ordinal=self.ordinal,
            views={
                family: merged_as(tuple(map(read_view, views)), self.merge)
                for family, views in self.columns.items()
            },
        )


@dataclass(frozen=True, slots=True)
class KeptTasks:
    """The same of the tasks of a label map: a part for each head, all of the same ids and folds."""

    label_map: LabelMap
    parts: tuple[KeptViews, ...]
    output: str = LABEL
    task: Task = "classification"

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels."""
        return self.label_map.labels

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the rows."""
        return self.parts[0].ids

    @property
    def folds(self) -> Indices:
        """The fold of each row, int64 (N,)."""
        return self.parts[0].folds

    @property
    def members(self) -> Mapping[str, Mapping[int, str]]:
        """The hash of each fold's member by family."""
        return {family: held for part in self.parts for family, held in part.members.items()}

    @property
    def costs(self) -> Costs | None:
        """What was measured; every part has all of it."""
        return self.parts[0].costs

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """The images without a row."""
        return self.parts[0].quarantined

    def merged(self) -> TaskPredictions:
        """Return what each family says of its tasks, as a run merges its views.

        Raises:
            EnsembleError: as for `tasks.join_tasks`.
        """
        return join_tasks([part.merged() for part in self.parts], self.label_map)
