"""What a process of its own does for one tracker: it reads its order, and leaves its answer.

Packages of trackers are foreign and large: they print, wait for the network and for threads at
their end, and change signals and the environment. None of that reaches the work.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ensemble.predictions.parsed import mapping_of, real_of, text_of
from ensemble.reports.trackers.tracker import Tracker, opened

ORDER: Final = "order.json"
ANSWER: Final = "answer.json"
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Order:
    """What a tracker is to record, and where; `pictures` are paths of PNGs by name."""

    tracker: str
    where: str
    name: str
    settings: Mapping[str, str]
    scores: Mapping[str, float]
    pictures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a tracker has recorded it, in words; or why it has not."""

    recorded: bool
    told: str


def write_order(folder: Path, order: Order) -> None:
    """Leave an order in a folder. An OSError passes through."""
    (folder / ORDER).write_text(json.dumps(asdict(order)), "utf-8")


def read_answer(folder: Path) -> Answer | None:
    """Return the answer that was left in a folder; None where there is none that is whole."""
    try:
        told = mapping_of(json.loads((folder / ANSWER).read_text("utf-8")))
        return Answer(told["recorded"] is True, text_of(told["told"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(folder: str) -> None:
    """Do what the order in a folder says, leave the answer there, and end at once."""
    place = Path(folder)
    try:
        order = _read(place)
        told = recorded(opened(order.tracker, order.where, order.name), order)
        answer = Answer(recorded=True, told=told)
    except BaseException as error:  # whatever a package raises, SystemExit too, is its answer
        answer = Answer(recorded=False, told=_words(error))
    (place / ANSWER).write_text(json.dumps(asdict(answer)), "utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads and exit handlers of a package may wait for ever


def recorded(tracker: Tracker, order: Order) -> str:
    """Tell a tracker all of an order; return where it lies."""
    tracker.settings(order.settings)
    tracker.scores(order.scores)
    for name, path in order.pictures.items():
        tracker.picture(name, Path(path))
    return tracker.close()


def _read(folder: Path) -> Order:
    told = mapping_of(json.loads((folder / ORDER).read_text("utf-8")))
    tracker, where, name = (text_of(told[key]) for key in ("tracker", "where", "name"))
    settings, pictures = (
        {key: text_of(value) for key, value in mapping_of(told[part]).items()}
        for part in ("settings", "pictures")
    )
    scores = {key: real_of(value) for key, value in mapping_of(told["scores"]).items()}
    return Order(tracker, where, name, settings, scores, pictures)


def _words(error: BaseException) -> str:
    """Return an error in a line: messages of packages may be pages."""
    line = " ".join(str(error).split())
    return f"{type(error).__name__}: {line}"[:_LONGEST]
