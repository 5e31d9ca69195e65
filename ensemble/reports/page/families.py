"""The families of predictions: what each scores alone, and how alike they err."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pooled
from ensemble.evaluation.metrics import METRICS, Metric
from ensemble.records import TASKS, Task
from ensemble.reports.metric_scores import score_by
from ensemble.reports.page.answers import Answer
from ensemble.reports.page.blocks import (
    Block,
    Cell,
    Table,
    interval_cell,
    name_cell,
    score_cell,
)
from ensemble.reports.page.scores import metric_words
from ensemble.reports.page.weighed import correlation_blocks
from ensemble.reports.scorecard import Compared
from ensemble.tuning.evidence import error_correlations

_FIRST: Final[Mapping[Task, str]] = {
    "classification": "accuracy",
    "multilabel": "log_loss",
    "regression": "mae",
}
"""The metric that families are told by: one that is always defined."""


def family_score_blocks(answer: Answer) -> list[Block]:
    """Return each family's own score, and the correlation of their errors.

    Without a truth there is neither, but how often families agree on the label.
    """
    families, compared = answer.families, answer.sure
    if len(families) < 2:
        return []
    if compared is None:
        return _agreement(answer)
    rows = _aligned(answer, compared)
    metric = METRICS[answer.task][_FIRST[answer.task]]
    table = _own_scores(metric, compared, rows)
    stack = np.array(list(rows.values()))
    found = error_correlations(stack, compared.truth, answer.task)
    told = [[None if np.isnan(cell) else cell for cell in row] for row in found.tolist()]
    return [table, *correlation_blocks(list(rows), told)]


def _own_scores(metric: Metric, compared: Compared, rows: Mapping[str, Pooled]) -> Table:
    found = [(name, score_by(metric, compared.truth, probs, compared.groups))
             for name, probs in {**rows, "all of them": compared.given}.items()]  # fmt: skip
    cells = tuple(
        (name_cell(name), score_cell(each.score), interval_cell(each.interval))
        for name, each in found
    )
    words = metric_words(metric.name)
    return Table(f"Each family alone: {words}", ("family", words, "95 % interval"), cells)


def _aligned(answer: Answer, compared: Compared) -> dict[str, Pooled]:
    """Return the families' numbers in the rows and columns of what was compared, joined by id."""
    place = {name: row for row, name in enumerate(answer.ids)}
    rows = [place[name] for name in compared.ids]
    columns = [answer.classes.index(name) for name in compared.classes]
    return {name: np.asarray(probs[np.ix_(rows, columns)], np.float64)
            for name, probs in answer.families.items()}  # fmt: skip


def _agreement(answer: Answer) -> list[Block]:
    """Return how often each two families say the same label."""
    if not TASKS[answer.task].single:
        return []
    said = np.array([probs.argmax(1) for probs in answer.families.values()])
    shares: NDArray[np.float64] = np.asarray((said[:, None] == said[None]).mean(2), np.float64)
    names = list(answer.families)
    rows = tuple(
        (name_cell(name), *(_share(value, own=row == column)
                            for column, value in enumerate(shares[row].tolist())))
        for row, name in enumerate(names)
    )  # fmt: skip
    caption = "How often two families say the same; without labels nothing tells who is right"
    return [Table(caption, ("", *names), rows, matrix=True)]


def _share(value: float, *, own: bool) -> Cell:
    return Cell(f"{value:.3f}", repr(value), share=0.0 if own else value,
                tone="muted" if own else "right")  # fmt: skip
