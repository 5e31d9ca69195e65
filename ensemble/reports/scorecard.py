"""What a submission scores against labels: every metric that it allows, with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.evaluation.bootstrap import Interval, spread
from ensemble.evaluation.labels import read_truth, truth_of
from ensemble.evaluation.metrics import (
    METRICS,
    NEEDS_EVERY_CLASS,
    TOP,
    Metric,
    Truth,
    confusion,
)
from ensemble.files.csv_tables import column_of
from ensemble.files.text_table import TableSource
from ensemble.html_table import html_table
from ensemble.predictions.table import Oof
from ensemble.records import TASKS
from ensemble.reports.submitted import Submitted, read_submission
from ensemble.voting.decision import order_of

_ROUNDING: Final = 1e-6
_HANDFUL: Final = 5
_ODD_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric's score, and its 95 % interval by a bootstrap of the rows; see `resample`.

    The interval is None where a class has too few rows for one.
    """

    metric: str
    score: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, repr=False)
class Scorecard:
    """The scores of a submission; `counts` (C, C) has the truth in rows, predictions in columns.

    Labels and values have no such matrix: then `counts` is (0, 0). `rescaled` rows of
    probabilities did not sum to 1, and were divided by their sum to be scored.
    """

    rows: int
    rescaled: int
    classes: tuple[str, ...]
    lines: tuple[MetricScore, ...]
    counts: NDArray[np.float64]

    def __repr__(self) -> str:
        scores = ", ".join(f"{line.metric} {line.score:.5f}" for line in self.lines)
        return f"<Scorecard of {self.rows} rows: {scores}>"

    def _repr_html_(self) -> str:
        ends = [f"{s.interval[0]:.5f} to {s.interval[1]:.5f}" if s.interval else "none"
                for s in self.lines]  # fmt: skip
        rows = [(s.metric, f"{s.score:.5f}", end) for s, end in zip(self.lines, ends, strict=True)]
        return html_table(f"{self.rows} rows", ("metric", "score", "95 % interval"), rows)


def score_submission(
    submission: TableSource, labels: TableSource, label_column: str = "label"
) -> Scorecard:
    """Score a submission of labels, or of a probability a class, joined by id.

    Args:
        submission: A CSV: the id, then a label column or a column a class.
        labels: A CSV with an id column and the labels; it may name more rows.
        label_column: The column of the labels.

    Raises:
        UsageError: ids without a label, labels that are no class, or a column of what seems to be
            no labels: none of them is in `labels`, or more than a handful and a tenth of them are
            not.
    """
    given, truth = read_submission(submission), column_of(labels, label_column)
    lacking = [name for name in given.rows if name not in truth]
    if lacking:
        raise UsageError(f"{labels}: no label for {few(lacking)}")
    if given.has_labels:
        _check_said(submission, set(given.labels()), labels, set(truth.values()))
    # of the rows that were submitted: the labels may hold more, whose classes need no column
    known = {truth[name] for name in given.rows}
    scores, classes = _in_order(*_predicted(given, known))
    sums = scores.sum(1, keepdims=True)
    probs = scores / sums
    odd = sorted(known - set(classes))
    if odd:
        raise UsageError(f"{labels}: labels without a column in {submission}: {few(odd)}")
    y = truth_of(list(given.rows), truth, classes)
    return Scorecard(
        rows=len(y),
        rescaled=int((np.abs(sums - 1) > _ROUNDING).sum()),
        classes=classes,
        lines=tuple(_line(m, y, probs) for m in _allowed(y, classes, labels_only=given.has_labels)),
        counts=confusion(y, probs.argmax(1), len(classes)),
    )


def score_values(found: Oof, labels: TableSource, label_column: str = "label") -> Scorecard:
    """Score a submission of a multilabel task or a regression, joined by id.

    Args:
        found: The predictions of one family: probabilities, 0 and 1, or values.
        labels: A table as `labels.read_truth` takes it.
        label_column: The column of a single target.

    Raises:
        UsageError: ids without a label, columns that differ, or values that are none.
    """
    task, (given,) = found.task, found.families.values()
    values = given.astype(np.float64)
    y = read_truth(labels, found, label_column)
    labels_only = TASKS[task].several and bool(np.isin(values, (0, 1)).all())
    mixed = not TASKS[task].bounded or bool(((y == 0).any(0) & (y == 1).any(0)).all())
    lines = [
        _line(metric, y, values)
        for metric in METRICS[task].values()
        if (metric.by_label or not labels_only) and (mixed or metric.by_label)
    ]
    return Scorecard(len(found.ids), 0, found.classes, tuple(lines), np.zeros((0, 0)))


def _check_said(
    submission: TableSource, said: set[str], labels: TableSource, known: set[str]
) -> None:
    """Check that a column holds labels: a few may be classes that no row of the truth shows."""
    unknown = sorted(said - known)
    if len(unknown) < len(said) and len(unknown) <= max(_HANDFUL, _ODD_SHARE * len(known)):
        return
    raise UsageError(
        f"{submission}: {len(unknown)} of its {len(said)} labels are none of {labels}: "
        f"{few(unknown)}; the labels there are {few(sorted(known))}. Numbers of classes? Write "
        f"names, by --labels-as name. Probabilities or values? Say --task multilabel or regression"
    )


def _predicted(given: Submitted, known: set[str]) -> tuple[Pooled, tuple[str, ...]]:
    """Return what was given, (N, C), 0 and 1 where there are labels only, and the classes."""
    if given.has_labels:
        said = given.labels()
        classes = tuple(sorted(known | set(said)))
        place = {name: number for number, name in enumerate(classes)}
        return np.eye(len(classes))[[place[name] for name in said]], classes
    probs = given.probabilities()
    if (probs < 0).any() or (probs.sum(1) <= 0).any():
        raise UsageError(f"{given.path}: probabilities are at least 0, and not all 0 in a row")
    return probs, given.columns


def _in_order(given: Pooled, classes: tuple[str, ...]) -> tuple[Pooled, tuple[str, ...]]:
    """Put classes that are numbers in their order, which a kappa goes by; others stay."""
    order = order_of(classes)
    return (given[:, order], tuple(classes[c] for c in order)) if order else (given, classes)


def _allowed(y: Indices, classes: Sequence[str], *, labels_only: bool) -> list[Metric]:
    """Leave out what labels cannot tell, what an absent class leaves undefined, and kappa of names.

    The classes of a kappa are equally spaced, so they must be whole numbers.
    """
    undefined = set[str]()
    if len(classes) < 2 or (np.bincount(y, minlength=len(classes)) == 0).any():
        undefined.update(NEEDS_EVERY_CLASS)
    if len(order_of(classes)) < 2:
        undefined.add("qwk")
    if len(classes) <= TOP:
        undefined.add("top_k")
    metrics = METRICS["classification"].values()
    allowed = [metric for metric in metrics if metric.by_label or not labels_only]
    return [metric for metric in allowed if metric.name not in undefined]


def _line(metric: Metric, y: Truth, probs: Pooled) -> MetricScore:
    found = spread(metric, y, [probs])
    return MetricScore(metric.name, found.value, found.interval and _within(metric, found.interval))


def _within(metric: Metric, interval: Interval) -> Interval:
    """Cut an interval at the ends of a metric's scale, over which its bias may have carried it."""
    lowest, highest = -1.0 if metric.name == "qwk" else 0.0, 1.0 if metric.greater else np.inf
    return max(interval[0], lowest), min(interval[1], highest)
