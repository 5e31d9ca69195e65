"""Scores on a page are those of the scorecard."""

import numpy as np
import pytest
from pages import CLASSES, answer_of, card_of, given, tables, texts, unscored_card

from ensemble.evaluation.metrics import METRICS
from ensemble.reports.page.scores import (
    CLASSES as SHOWN,
)
from ensemble.reports.page.scores import class_blocks, metric_words, score_blocks, spread_blocks

PROBS = given(60)
TRUTH = [CLASSES[n % 3] for n in range(60)]


def test_every_metric_stands_there_with_its_exact_score_and_interval() -> None:
    card = card_of(TRUTH, PROBS)
    (table,) = tables(score_blocks(answer_of(PROBS, card)))
    assert [row[0].said for row in table.rows] == [line.metric for line in card.lines]
    assert [float(row[1].exact) for row in table.rows] == [line.score for line in card.lines]
    for row, line in zip(table.rows, card.lines, strict=True):
        assert line.interval == pytest.approx([float(end) for end in row[2].exact.split()], abs=0)


def test_what_labels_do_not_score_is_told_of_the_probabilities() -> None:
    hard = card_of(TRUTH, np.eye(3)[PROBS.argmax(1)], labels_only=True)
    soft = card_of(TRUTH, PROBS)
    (table,) = tables(score_blocks(answer_of(PROBS, hard, probs_card=soft)))
    of = {row[0].said: row[3].text for row in table.rows}
    assert of["accuracy"] == "the labels handed in"
    assert of["log_loss"] == "the run's probabilities"


def test_each_class_has_what_the_scorecard_says() -> None:
    card = card_of(TRUTH, PROBS)
    (table,) = tables(class_blocks(answer_of(PROBS, card)))
    found = [[float(cell.exact) for cell in row[1:]] for row in table.rows]
    assert found == [[c.precision, c.recall, c.f1, c.support] for c in card.by_class]


def test_of_a_thousand_classes_the_worst_are_shown() -> None:
    probs = given(3000, classes=1000)
    card = unscored_card([n % 1000 for n in range(3000)], probs)
    (table,) = tables(class_blocks(answer_of(probs[:0, :3], card)))
    assert len(table.rows) == SHOWN
    assert "the other 940" in table.caption
    worst = sorted(each.f1 for each in card.by_class)[:SHOWN]
    assert [float(row[3].exact) for row in table.rows] == worst


def test_without_labels_classes_are_counted() -> None:
    probs = np.eye(3)[[0, 0, 1]]
    (table,) = tables(spread_blocks(answer_of(probs)))
    assert texts(table) == [["ant", "2", "66.7 %"], ["bee", "1", "33.3 %"], ["cat", "0", "0.0 %"]]


def test_every_metric_has_its_words() -> None:
    assert all(metric_words(name) != "" for own in METRICS.values() for name in own)
    assert metric_words("mine:fn") == "mine:fn"
