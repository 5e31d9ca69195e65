"""What MLflow is told, by a client that keeps it; the real one is in tests/whole/test_trackers."""

import posixpath
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ensemble.reports.trackers.mlflow import MlflowTracker


class Client:
    """The part of MlflowClient that is used."""

    def __init__(self, uri: str) -> None:
        self.told: list[Any] = [uri]

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id="7") if name == "known" else None

    def create_experiment(self, name: str) -> str:
        return f"new {name}"

    def create_run(self, number: str, run_name: str) -> SimpleNamespace:
        self.told.append((number, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="r"))

    def log_batch(
        self, run: str, metrics: tuple[Any, ...] = (), params: tuple[Any, ...] = ()
    ) -> None:
        self.told.append([(each[0], each[1]) for each in (*metrics, *params)])

    def log_artifact(self, run: str, path: str) -> None:
        self.told.append(path)

    def set_terminated(self, run: str) -> None:
        self.told.append("terminated")


@pytest.fixture
def tracker_of(monkeypatch: pytest.MonkeyPatch) -> "type[MlflowTracker]":
    """The tracker, on a fake MLflow."""
    parts = {
        "mlflow": ModuleType("mlflow"),
        "mlflow.entities": ModuleType("mlflow.entities"),
        "mlflow.tracking": ModuleType("mlflow.tracking"),
    }
    vars(parts["mlflow.entities"]).update(Metric=lambda *told: told, Param=lambda *told: told)
    vars(parts["mlflow.tracking"]).update(MlflowClient=Client)
    for name, module in parts.items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "ensemble.reports.trackers.mlflow", raising=False)
    from ensemble.reports.trackers.mlflow import MlflowTracker

    return MlflowTracker


def client_of(tracker: Any) -> list[Any]:
    return tracker._client.told


def test_without_a_uri_it_records_in_sqlite(tracker_of: "type[MlflowTracker]") -> None:
    tracker = tracker_of("", "first")
    assert client_of(tracker) == ["sqlite:///mlflow.db", ("new ensemble", "first")]
    assert tracker.close() == "experiment ensemble, run first, in sqlite:///mlflow.db"


def test_the_uri_of_the_flag_comes_before_that_of_the_environment(
    tracker_of: "type[MlflowTracker]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "known")
    assert client_of(tracker_of("", "first")) == ["http://there", ("7", "first")]
    assert client_of(tracker_of("http://here", "first"))[0] == "http://here"


def test_no_batch_is_longer_than_mlflow_takes(tracker_of: "type[MlflowTracker]") -> None:
    tracker = tracker_of("", "first")
    tracker.settings({f"s{n}": "x" * 7000 for n in range(250)})
    tracker.scores({f"m{n}": n / 2 for n in range(101)})
    batches = client_of(tracker)[2:]
    assert [len(batch) for batch in batches] == [100, 100, 50, 100, 1]
    assert {len(value) for batch in batches[:3] for _, value in batch} == {6000}
    assert batches[-1] == [("m100", 50.0)]


def test_a_picture_is_an_artifact(tracker_of: "type[MlflowTracker]") -> None:
    tracker = tracker_of("", "first")
    tracker.picture("weights", Path("w.png"))
    assert client_of(tracker)[-1] == "w.png"


@pytest.mark.parametrize(
    "family", ["resnet50", "a/b", "a//b", "../b", "a/../b", "a/./b", "/a", "a/", "$x:y", "é <30"]
)
def test_every_name_is_one_that_mlflow_takes(
    tracker_of: "type[MlflowTracker]", family: str
) -> None:
    tracker = tracker_of("", "first")
    tracker.scores({f"weights/{family}": 1.0})
    ((name, _),) = client_of(tracker)[-1]
    assert re.fullmatch(r"[/\w.\- ]*", name)
    assert posixpath.normpath(name) == name
    if re.fullmatch(r"[\w/]+\w", family) and "//" not in family and family[0] != "/":
        assert name == f"weights/{family}"
