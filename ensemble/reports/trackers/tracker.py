"""The seam to trackers: what each of them does with what it is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Tracker(Protocol):
    """A run of a tracker that is open; each method may raise anything, and may never return."""

    def settings(self, values: Mapping[str, str]) -> None:
        """Record texts by name."""

    def scores(self, values: Mapping[str, float]) -> None:
        """Record finite numbers by name."""

    def picture(self, name: str, path: Path) -> None:
        """Record a PNG."""

    def close(self) -> str:
        """Wait until all is recorded; return where it lies, in words."""


def opened(tracker: str, where: str, name: str) -> Tracker:
    """Begin a run of that name by a tracker; `where` "" is the tracker's own default."""
    if tracker == "mlflow":
        from ensemble.reports.trackers.mlflow import MlflowTracker

        return MlflowTracker(where, name)
    if tracker == "wandb":
        from ensemble.reports.trackers.wandb import WandbTracker

        return WandbTracker(where, name)
    from ensemble.reports.trackers.tensorboard import TensorboardTracker

    return TensorboardTracker(where, name)
