"""What can be bought: families under views, with what they say of rows and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pooled, Vector
from ensemble.evaluation.metrics import METRICS, Metric, Truth
from ensemble.records import TASKS, Task
from ensemble.tuning.fit import fit
from ensemble.voting.blend import Blend
from ensemble.voting.pools import Stack
from ensemble.voting.weights import Pool

PLAIN: Final = "plain"
"""The view without operations, which each family begins with, where it has it."""

Chosen: TypeAlias = tuple[int, ...]
"""Options, by their places, ascending."""

Rows: TypeAlias = NDArray[np.bool_] | slice
"""Some of the rows: a mask (N,), or a slice."""


@dataclass(frozen=True, slots=True)
class Option:
    """What can be bought: a family under a view, for the seconds of one evaluation of an image."""

    family: str
    view: str
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A blend of what was chosen; of a label map with the spreads of its values by column."""

    blend: Blend
    spreads: Mapping[str, float] = field(default_factory=dict)


class Market(Protocol):
    """The options, sorted by family and view, what they say of N rows, and the truth."""

    @property
    def options(self) -> tuple[Option, ...]:
        """What can be bought."""

    @property
    def y(self) -> Truth:
        """The truth of each row."""

    def among(self, rows: Rows) -> "Market":
        """Return the same options on some rows."""

    def answers(self, chosen: Chosen) -> bool:
        """Tell whether options are enough to predict."""

    def starts(self) -> list[Chosen]:
        """Return what a search may begin with: each predicts, and no less would."""

    def columns(self, chosen: Chosen) -> list[tuple[str, str]]:
        """Return what is weighed, each by its name and its family, in the order of the weights."""

    def fit(self, chosen: Chosen, metric: Metric, pool: Pool) -> Fitted:
        """Fit the blend of options on these rows for a metric."""

    def predicted(self, chosen: Chosen, fitted: Fitted) -> Pooled:
        """Return what a metric sees of these rows, (N, C), by a blend that was fitted."""

    def losses(self, chosen: Chosen) -> Vector:
        """Return the loss of each row, (N,), of the blend of options, fitted on these rows."""

    def own_losses(self, chosen: Chosen) -> Vector:
        """Return the same of options of one family, of what that family says."""


def families_of(market: Market, chosen: Chosen) -> list[str]:
    """Return the families of options, sorted."""
    return sorted({market.options[place].family for place in chosen})


def cost_of(market: Market, chosen: Chosen) -> float:
    """Return the seconds of an image with one member of each family."""
    return float(sum(market.options[place].seconds for place in chosen))


def bases_of(options: Sequence[Option]) -> list[int]:
    """Return where each family begins: with the plain view, else with its first."""
    first: dict[str, int] = {}
    for place, option in enumerate(options):
        if option.family not in first or option.view == PLAIN:
            first[option.family] = place
    return list(first.values())


@dataclass(frozen=True, slots=True, eq=False)
class HeadMarket:
    """Options of one head, with their predictions (K, N, C); see `Market`."""

    options: tuple[Option, ...]
    stack: Stack
    y: Truth
    task: Task

    def pooled(self, chosen: Chosen) -> Stack:
        """Return each family's mean over its chosen views, float64 (M, N, C), sorted by name."""
        own = [
            [place for place in chosen if self.options[place].family == family]
            for family in families_of(self, chosen)
        ]
        return np.stack([self.stack[places].mean(0) for places in own])

    def among(self, rows: Rows) -> "HeadMarket":
        """Return the same options on some rows."""
        return HeadMarket(self.options, self.stack[:, rows], self.y[rows], self.task)

    def answers(self, chosen: Chosen) -> bool:
        """Tell whether there is any option."""
        return len(chosen) > 0

    def starts(self) -> list[Chosen]:
        """Return each family alone, under its first view."""
        return [(place,) for place in bases_of(self.options)]

    def columns(self, chosen: Chosen) -> list[tuple[str, str]]:
        """Return the families: each is weighed."""
        return [(family, family) for family in families_of(self, chosen)]

    def fit(self, chosen: Chosen, metric: Metric, pool: Pool) -> Fitted:
        """Fit the pool of families."""
        return Fitted(fit(self.pooled(chosen), self.y, metric, pool))

    def predicted(self, chosen: Chosen, fitted: Fitted) -> Pooled:
        """Return what a metric sees, (N, C)."""
        return fitted.blend.predicted(self.pooled(chosen))

    def losses(self, chosen: Chosen) -> Vector:
        """Return the log-loss of each row, or of a regression the squared error, (N,)."""
        bounded = TASKS[self.task].bounded
        metric = METRICS[self.task]["log_loss" if bounded else "rmse"]
        fitted = self.fit(chosen, metric, "log-linear" if bounded else "linear")
        probs = fitted.blend.probs(self.pooled(chosen))
        if metric.each is not None:
            return np.asarray(metric.each(self.y, probs), np.float64)
        return np.asarray(((probs - self.y) ** 2).mean(1), np.float64)

    def own_losses(self, chosen: Chosen) -> Vector:
        """Return the same of one family."""
        return self.losses(chosen)
