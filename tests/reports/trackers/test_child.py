"""What the process of a tracker reads and leaves."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ensemble.reports.trackers.child import (
    ANSWER,
    Answer,
    Order,
    read_answer,
    recorded,
)

ORDER = Order("wandb", "", "first", {"tta": "flip"}, {"accuracy": 0.5}, {"weights": "w.png"})


class Keeps:
    """A tracker that keeps what it is told, and may fail at one step."""

    def __init__(self, fault: str = "") -> None:
        self.told: list[object] = []
        self._fault = fault

    def _keep(self, step: str, *values: object) -> None:
        if step == self._fault:
            raise OSError(f"no {step}")
        self.told.append((step, *values))

    def settings(self, values: Mapping[str, str]) -> None:
        self._keep("settings", values)

    def scores(self, values: Mapping[str, float]) -> None:
        self._keep("scores", values)

    def picture(self, name: str, path: Path) -> None:
        self._keep("picture", name, path)

    def close(self) -> str:
        self._keep("close")
        return "there"


def test_a_tracker_is_told_settings_scores_and_pictures_and_is_closed() -> None:
    tracker = Keeps()
    assert recorded(tracker, ORDER) == "there"
    assert tracker.told == [
        ("settings", {"tta": "flip"}),
        ("scores", {"accuracy": 0.5}),
        ("picture", "weights", Path("w.png")),
        ("close",),
    ]


@pytest.mark.parametrize("step", ["settings", "scores", "picture", "close"])
def test_what_a_tracker_raises_passes(step: str) -> None:
    with pytest.raises(OSError, match=f"no {step}"):
        recorded(Keeps(step), ORDER)


def test_an_answer_is_read_as_it_was_left(tmp_path: Path) -> None:
    (tmp_path / ANSWER).write_text('{"recorded": true, "told": "there"}')
    assert read_answer(tmp_path) == Answer(recorded=True, told="there")


@pytest.mark.parametrize("text", [None, "", '{"recorded"', "[]", '{"told": "x"}'])
def test_an_answer_that_is_not_whole_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / ANSWER).write_text(text)
    assert read_answer(tmp_path) is None
