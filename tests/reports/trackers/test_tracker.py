"""Which tracker is opened by which name."""

import sys
from types import ModuleType

import pytest

from ensemble.recipe.track import PACKAGES
from ensemble.reports.trackers.tracker import opened


@pytest.mark.parametrize("name", PACKAGES)
def test_every_tracker_that_can_be_named_is_opened(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fake, kind = ModuleType(name), f"{name.capitalize()}Tracker"
    setattr(fake, kind, lambda where, run: (name, where, run))
    monkeypatch.setitem(sys.modules, f"ensemble.reports.trackers.{name}", fake)
    assert opened(name, "there", "first") == (name, "there", "first")  # type: ignore[comparison-overlap]
