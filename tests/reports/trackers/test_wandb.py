"""What W&B is told, by a package that keeps it; the real one is in tests/whole/test_trackers."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ensemble.reports.trackers.wandb import WandbTracker


class Run:
    """The part of a run that is used; without a URL, as offline."""

    url: str | None = None
    dir = "wandb/offline-run-1/files"

    def __init__(self) -> None:
        self.config: dict[str, object] = {}
        self.summary: dict[str, object] = {}
        self.logged: list[object] = []
        self.finished = False

    def log(self, values: object) -> None:
        self.logged.append(values)

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A fake wandb, and what it was told."""
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    told: dict[str, Any] = {"run": Run()}

    def init(**given: object) -> Run:
        told.update(given)
        run = told["run"]
        assert isinstance(run, Run)
        return run

    fake = ModuleType("wandb")
    vars(fake).update(
        init=init, Settings=SimpleNamespace, Image=lambda path: ("image", path),
        teardown=lambda: told.update(ended=True),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delitem(sys.modules, "ensemble.reports.trackers.wandb", raising=False)
    return told


def opened(where: str = "") -> "WandbTracker":
    from ensemble.reports.trackers.wandb import WandbTracker

    return WandbTracker(where, "first")


def test_the_project_is_the_flags_the_environments_or_ours(
    package: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    assert (package["project"], package["name"]) == ("ensemble", "first")
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    opened()
    assert package["project"] == "theirs"
    opened("mine")
    assert package["project"] == "mine"


def test_nothing_is_told_of_the_machine(package: dict[str, Any]) -> None:
    opened()
    told = package["settings"]
    assert (told.disable_git, told.save_code) == (True, False)
    assert (told.x_disable_meta, told.x_disable_stats) == (True, True)
    assert (told.x_disable_machine_info, told.x_save_requirements) == (True, False)
    assert told.host == "not told"


def test_settings_scores_and_pictures_are_told(package: dict[str, Any]) -> None:
    tracker, run = opened(), package["run"]
    tracker.settings({"tta": "flip"})
    tracker.scores({"accuracy": 0.5})
    tracker.picture("weights", Path("w.png"))
    assert (run.config, run.summary) == ({"tta": "flip"}, {"accuracy": 0.5})
    assert run.logged == [{"weights": ("image", "w.png")}]


def test_what_is_offline_is_said_with_what_sends_it(package: dict[str, Any]) -> None:
    assert opened().close() == f"{Path('wandb/offline-run-1')}; wandb sync sends it"
    assert (package["run"].finished, package["ended"]) == (True, True)


def test_where_a_run_can_be_seen_is_said(package: dict[str, Any]) -> None:
    package["run"].url = "https://there/first"
    assert opened().close() == "https://there/first"
