"""What Python gives prints in a line or two, however large it is, and as a table in a notebook."""

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

import ensemble as package
from ensemble.evaluation.folds import FoldReport
from ensemble.members.card import Card
from ensemble.reports.compare import Difference
from ensemble.reports.metric_scores import MetricScore
from ensemble.reports.scorecard import Scorecard

ROWS = 10_000
NAMES = tuple(f"<i>{n}" for n in range(ROWS))
CLASSES = tuple(f"<b>{n}" for n in range(200))


class Shown(Protocol):
    def _repr_html_(self) -> str: ...


def submission() -> package.Submission:
    probs = np.full((ROWS, len(CLASSES)), 1 / len(CLASSES))
    return package.Submission(
        Path("out"), Path("out/submission.csv"), NAMES, CLASSES, (CLASSES[0],) * ROWS, probs,
        {"ant": probs}, (), {},
    )  # fmt: skip


MADE: list[Shown] = [
    submission(),
    package.Weights(
        {f"<b>{n}": 1 / 50 for n in range(50)}, classes=CLASSES, metric="auc",
        ranks={"<b>0": ((0.5,) * 1000,) * 200}, evidence={"verdict": "gain", "singles": {}},
    ),
    Scorecard(ROWS, 0, CLASSES, (MetricScore("<b>", 0.5, None),), np.zeros((200, 200))),
    Difference(ROWS, NAMES, {("<b>0", "<b>1"): ROWS}, None),
    FoldReport((0, 1), CLASSES, np.ones((2, 200), np.int64), NAMES, (NAMES,), ()),
]  # fmt: skip


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made).__name__)
def test_a_record_of_many_rows_prints_in_a_few_lines(made: Shown) -> None:
    assert len(repr(made)) < 300
    assert "\n" not in repr(made)


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made).__name__)
def test_a_table_of_a_notebook_is_short_and_escaped(made: Shown) -> None:
    text = made._repr_html_()
    assert text.startswith("<table>")
    assert len(text) < 8000
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;" in text


def test_predictions_of_many_rows_print_in_a_line() -> None:
    table = package.Oof(NAMES, CLASSES, {"ant": np.zeros((ROWS, len(CLASSES)))})
    assert repr(table) == "<Oof of 10000 rows, 200 classes (classification): families ant>"


def test_cards_are_a_table_of_members(members: list[Path]) -> None:
    cards = package.inspect_members(members)
    assert repr(cards) == "<Cards of 4 members: ant-f0, ant-f1, bee-f0, bee-f1>"
    text = cards._repr_html_()
    assert all(f"<td>{card.name}</td><td>{card.family}</td>" in text for card in cards.values())
    assert all(isinstance(card, Card) for card in cards.values())
