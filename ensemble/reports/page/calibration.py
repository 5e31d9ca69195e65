"""Whether confidences can be believed: bins of equal mass, and the expected calibration error."""

from typing import Final

import numpy as np

from ensemble.arrays import Pooled, Vector
from ensemble.evaluation.reliability import ECE, FEW, ReliabilityBin, reliability
from ensemble.records import TASKS
from ensemble.reports.metric_scores import MetricScore, score_by
from ensemble.reports.page.blocks import (
    Block,
    Cell,
    Chart,
    Fact,
    Facts,
    Table,
    count_cell,
    interval_cell,
    score_cell,
)
from ensemble.reports.page.curves import reliability_chart
from ensemble.reports.scorecard import Compared

_CAPTION: Final = (
    "A dot is a bin of about as many rows as any other, its line Wilson's 95 % interval; bins of "
    "fewer than {few} rows are grey. On the diagonal a confidence of 0.8 is right in 80 % of "
    "cases: below it predictions are too sure, above it not sure enough."
)


def calibration_blocks(compared: Compared) -> list[Block]:
    """Return the reliability diagram, its table, and the calibration error with its interval."""
    confidence, right = told_and_right(compared)
    bins = reliability(confidence, right)
    error = calibration_of(compared, confidence, right)
    side = "above" if right.mean() > confidence.mean() else "not above"
    facts = Facts((
        Fact("expected calibration error", score_cell(error.score), _interval(error)),
        Fact("mean confidence", score_cell(float(confidence.mean()))),
        Fact("share that is right", score_cell(float(right.mean())),
             f"{side} the mean confidence"),
    ))  # fmt: skip
    about = f"Reliability in {len(bins)} bins: the share that is right against the mean confidence"
    chart = Chart(reliability_chart(bins, about), _CAPTION.format(few=FEW))
    return [facts, chart, _table(bins)]


def told_and_right(compared: Compared) -> tuple[Vector, Vector]:
    """Return how sure each decision is, and whether it is right, 0 or 1; both (K,).

    A class is decided by the largest probability, and that is how sure it is. Of labels that are
    each given on its own all probabilities count, against whether the label is true.
    """
    if TASKS[compared.task].several:
        return compared.given.ravel(), np.asarray(compared.truth, np.float64).ravel()
    right = compared.given.argmax(1) == compared.truth
    return np.asarray(compared.given.max(1), np.float64), np.asarray(right, np.float64)


def calibration_of(compared: Compared, confidence: Vector, right: Vector) -> MetricScore:
    """Return the expected calibration error with its interval by a bootstrap of the rows."""
    groups = compared.groups
    if len(confidence) != len(compared.ids):  # several labels a row, which belong together
        each = np.arange(len(compared.ids)) if groups is None else groups
        groups = np.repeat(each, compared.given.shape[1])
    return score_by(ECE, np.asarray(right, np.int64), _column(confidence), groups)


def _interval(error: MetricScore) -> str:
    told = interval_cell(error.interval).text
    return f"95 % interval {told}"


def _column(values: Vector) -> Pooled:
    return np.asarray(values[:, None], np.float64)


def _table(bins: tuple[ReliabilityBin, ...]) -> Table:
    rows = tuple(
        (
            Cell(str(number), tone="muted" if each.rows < FEW else ""),
            count_cell(each.rows),
            score_cell(each.confidence),
            score_cell(each.right),
            interval_cell(each.interval),
        )
        for number, each in enumerate(bins, 1)
    )
    header = ("bin", "rows", "mean confidence", "share right", "95 % interval")
    return Table("The bins of the diagram", header, rows)
