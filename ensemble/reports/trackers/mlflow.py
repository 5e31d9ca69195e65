"""MLflow: the user's tracking URI, else SQLite in a file, as MLflow has it by itself."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

DATABASE: Final = "sqlite:///mlflow.db"
"""What MLflow takes where nobody says: newer versions refuse folders of files."""

EXPERIMENT: Final = "ensemble"
_BATCH: Final = 100
_LONGEST: Final = 6000
_ODD: Final = re.compile(r"[^\w\-. /]|(?<!\w)[/.]|/(?!\w)")
"""What may not stand in a name: other signs, and what would make it another path."""


class MlflowTracker:
    """A run of an experiment, by the client alone: it tells no user, program or folder."""

    def __init__(self, where: str, name: str) -> None:
        """Begin a run in the experiment of MLFLOW_EXPERIMENT_NAME, else in `ensemble`."""
        self._uri = where or os.environ.get("MLFLOW_TRACKING_URI") or DATABASE
        self._client = MlflowClient(self._uri)
        wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(wanted)
        number = found.experiment_id if found else self._client.create_experiment(wanted)
        self._run = self._client.create_run(number, run_name=name).info.run_id
        self._told = f"experiment {wanted}, run {name}"

    def settings(self, values: Mapping[str, str]) -> None:
        """Write a parameter for each."""
        told = [Param(_named(name), value[:_LONGEST]) for name, value in values.items()]
        for first in range(0, len(told), _BATCH):
            self._client.log_batch(self._run, params=told[first : first + _BATCH])

    def scores(self, values: Mapping[str, float]) -> None:
        """Write a metric for each, at step 0."""
        now = int(1000 * time.time())
        told = [Metric(_named(name), value, now, 0) for name, value in values.items()]
        for first in range(0, len(told), _BATCH):
            self._client.log_batch(self._run, metrics=told[first : first + _BATCH])

    def picture(self, name: str, path: Path) -> None:
        """Write an artifact, by the name of the file."""
        self._client.log_artifact(self._run, str(path))

    def close(self) -> str:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)
        return f"{self._told}, in {self._uri}"


def _named(name: str) -> str:
    """Return a name that MLflow takes: what it does not is replaced by its number in hex."""
    return _ODD.sub(lambda odd: f"_{ord(odd[0]):x}_", name)
