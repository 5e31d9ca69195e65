"""The scores of an answer: every metric with its interval, and how each class fares."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ensemble.records import TASKS
from ensemble.reports.by_class import ClassScore
from ensemble.reports.metric_scores import MetricScore
from ensemble.reports.page.answers import Answer
from ensemble.reports.page.blocks import (
    Block,
    Cell,
    Note,
    Table,
    count_cell,
    interval_cell,
    name_cell,
    score_cell,
)
from ensemble.reports.scorecard import Scorecard

CLASSES: Final = 60
"""The most rows of a table of classes."""

_WORDS: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "F1, mean over classes",
    "f1_micro": "F1, over all decisions",
    "log_loss": "log-loss",
    "brier": "Brier score",
    "auc": "AUC, mean over classes",
    "qwk": "quadratic weighted kappa",
    "top_k": "right among the first 3",
    "f1": "F1, mean over labels",
    "map": "mean average precision",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
}


def metric_words(name: str) -> str:
    """Return what a metric is called in a sentence; one of one's own by its name."""
    return _WORDS.get(name, name)


def all_lines(answer: Answer) -> list[tuple[MetricScore, Scorecard]]:
    """Return each metric once, with the card that it is of: what is handed in comes first."""
    found: dict[str, tuple[MetricScore, Scorecard]] = {}
    for card in filter(None, (answer.card, answer.probs_card)):
        for line in card.lines:
            found.setdefault(line.metric, (line, card))
    return list(found.values())


def score_blocks(answer: Answer) -> list[Block]:
    """Return the table of all metrics, and what is to be known of it."""
    lines = all_lines(answer)
    if answer.card is None:
        return []
    both = any(card is not answer.card for _, card in lines)
    header = ("metric", "score", "95 % interval", *(("of",) if both else ()))
    rows = []
    for line, card in lines:
        of = "the labels handed in" if card is answer.card else "the run's probabilities"
        rows.append((
            Cell(metric_words(line.metric), said=line.metric),
            score_cell(line.score),
            interval_cell(line.interval),
            *((Cell(of, tone="muted"),) if both else ()),
        ))  # fmt: skip
    notes = [Note(note) for note in answer.card.notes]
    caption = f"Scores of {answer.card.rows} rows; intervals by a bootstrap of the rows"
    return [Table(caption, header, tuple(rows)), *notes]


def class_blocks(answer: Answer) -> list[Block]:
    """Return precision, recall and F1 of each class, the worst first where there are many."""
    card = answer.card
    if card is None or not card.by_class:
        return []
    what = "label" if TASKS[answer.task].several else "class"
    by_class, told = _shown(card.by_class)
    rows = tuple(
        (name_cell(each.name), *(_bar(value) for value in (each.precision, each.recall, each.f1)),
         count_cell(each.support))
        for each in by_class
    )  # fmt: skip
    caption = f"Each {what}: of what was given so the share that is right, of what is so the share "
    caption += f"that was found, their F1, and rows of the truth{told}"
    return [Table(caption, (what, "precision", "recall", "F1", "rows"), rows)]


def spread_blocks(answer: Answer) -> list[Block]:
    """Return how often each class is predicted, the commonest first."""
    if not answer.labels:
        return []
    place = {name: number for number, name in enumerate(answer.classes)}
    counts = np.bincount([place[name] for name in answer.labels], minlength=len(place))
    order = np.argsort(-counts, kind="stable")[:CLASSES].tolist()
    most = max(int(counts.max(initial=0)), 1)
    rows = tuple(
        (name_cell(answer.classes[c]), count_cell(int(counts[c]), share=int(counts[c]) / most),
         Cell(f"{100 * int(counts[c]) / len(answer.labels):.1f} %"))
        for c in order
    )  # fmt: skip
    left = len(answer.classes) - len(order)
    told = f"; {left} rarer ones are left out" if left else ""
    never = int((counts == 0).sum())
    blocks: list[Block] = [Table(f"How often each class is predicted{told}",
                                 ("class", "images", "share"), rows)]  # fmt: skip
    if never:
        blocks.append(Note(f"{never} of {len(counts)} classes are never predicted."))
    return blocks


def _shown(by_class: Sequence[ClassScore]) -> tuple[list[ClassScore], str]:
    """Return the classes that are shown, and what is said of the others."""
    if len(by_class) <= CLASSES:
        return list(by_class), ""
    worst = sorted(by_class, key=lambda each: (each.support == 0, each.f1))[:CLASSES]
    left = len(by_class) - len(worst)
    return worst, (f". The {len(worst)} of the lowest F1 are shown; `ensemble score --json` has "
                   f"the other {left}")  # fmt: skip


def _bar(value: float) -> Cell:
    return Cell(f"{value:.4f}", repr(value), share=value)
