"""What a submission scores against labels: every metric that it allows, with an interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.evaluation.labels import (
    check_filled,
    check_grouped,
    read_truth,
    truth_of,
)
from ensemble.evaluation.metrics import Truth, confusion
from ensemble.files.columns import ID, said_where_there
from ensemble.files.csv_tables import column_of, read_table
from ensemble.files.ids import Tell
from ensemble.files.text_table import TableSource
from ensemble.html_table import html_table
from ensemble.predictions.table import Oof
from ensemble.records import TASKS, Task
from ensemble.reports.by_class import (
    ClassScore,
    Confused,
    most_confused,
    scores_of_counts,
    scores_of_labels,
)
from ensemble.reports.metric_scores import (
    MetricScore,
    metrics_of_classes,
    metrics_of_values,
    score_by,
)
from ensemble.reports.scored_classes import absent_grades, check_labels, class_scores, in_order
from ensemble.reports.submitted import Submitted, predicted_columns, read_submission
from ensemble.voting.blend import labels_given
from ensemble.voting.decision import Decision

_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What was held against the truth: N ids, `truth` as metrics take it, and what was `given`.

    `given` is float64 (N, C), in the order of `classes`: probabilities of classes or labels, or
    values; 0 and 1 where `labels_only`. `groups` int64 (N,) are drawn together; None where each row
    is its own.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    truth: Truth
    given: Pooled
    groups: Indices | None
    task: Task
    labels_only: bool


@dataclass(frozen=True, slots=True, repr=False)
class Scorecard:
    """The scores of a submission; `counts` (C, C) has the truth in rows, predictions in columns.

    Labels and values have no such matrix: then `counts` is (0, 0). `rescaled` rows of
    probabilities did not sum to 1, and were divided by their sum to be scored. `by_class` has how
    each class or label fares, a label being given from 0.5 on; a regression has none. `notes` are
    what a person should know. `tasks` has the scores of each task, where several make the label.
    `compared` has the rows themselves.
    """

    rows: int
    rescaled: int
    classes: tuple[str, ...]
    lines: tuple[MetricScore, ...]
    counts: NDArray[np.float64]
    by_class: tuple[ClassScore, ...] = ()
    notes: tuple[str, ...] = ()
    tasks: Mapping[str, "Scorecard"] = field(default_factory=dict)
    compared: Compared | None = None

    @property
    def confused(self) -> tuple[Confused, ...]:
        """The pairs of classes that are confused, the commonest first; none without a matrix."""
        return most_confused(self.counts, self.classes) if self.counts.size else ()

    def __repr__(self) -> str:
        scores = ", ".join(f"{line.metric} {line.score:.5f}" for line in self.lines)
        return f"<Scorecard of {self.rows} rows: {scores}>"

    def _repr_html_(self) -> str:
        ends = [f"{s.interval[0]:.5f} to {s.interval[1]:.5f}" if s.interval else "none"
                for s in self.lines]  # fmt: skip
        rows = [(s.metric, f"{s.score:.5f}", end) for s, end in zip(self.lines, ends, strict=True)]
        return html_table(f"{self.rows} rows", ("metric", "score", "95 % interval"), rows)


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth that something is scored against.

    `column` has the labels. `id_column` None takes `id`, or the column that holds the ids that are
    scored. `group` is a column: rows of one group are drawn together for the intervals. `classes`
    are all classes in their order, where it is not that of whole numbers; empty for those found.
    """

    table: TableSource
    column: str = "label"
    id_column: str | None = None
    group: str | None = None
    classes: tuple[str, ...] = ()

    def groups(self, ids: Sequence[str], tell: Tell) -> Indices | None:
        """Return the group of each id as a number, int64 (N,), or None where there are none."""
        if self.group is None:
            return None
        named = column_of(self.table, self.group, self.id_column, ids, tell)
        check_grouped(named, ids, self.table)
        return np.unique([named[name] for name in ids], return_inverse=True)[1].astype(np.int64)

    def of(self, ids: Sequence[str], tell: Tell) -> dict[str, str]:
        """Return the label of each id; `tell` is told where ids are a folder or an extension apart.

        Raises:
            UsageError: an id without one.
        """
        truth = column_of(self.table, self.column, self.id_column, ids, tell)
        lacking = [name for name in ids if name not in truth]
        if lacking:
            raise UsageError(f"{self.table}: no label for {few(lacking)}")
        check_filled({name: truth[name] for name in ids}, self.table)
        return truth


def score_submission(submission: TableSource, labels: Labels) -> Scorecard:
    """Score a submission of labels, or of a probability a class, joined by id.

    Args:
        submission: A CSV: the id, then a label column or a column a class.
        labels: The truth; it may name more rows.

    Raises:
        UsageError: ids without a label, labels that are no class, or a column of what seems to be
            no labels: none of them is in `labels`, or more than a handful and a tenth of them are
            not.
    """
    read = read_scored(submission, labels)
    notes: list[str] = []
    truth = labels.of(list(read.rows), notes.append)
    given = predicted_columns(read, {*truth.values(), *labels.classes})
    notes += given.notes
    if given.has_labels:
        check_labels(submission, set(given.labels()), labels.table, set(truth.values()))
    # of the rows that were submitted: the labels may hold more, whose classes need no column
    known = {truth[name] for name in given.rows} | set(labels.classes)
    scores, classes = class_scores(given, known, labels.table)
    return _of_classes(
        list(given.rows), scores, classes, labels, labels_only=given.has_labels, notes=notes
    )


def read_scored(submission: TableSource, labels: Labels) -> Submitted:
    """Read a submission; the ids of the labels, where their column is told, tell its own."""
    (header, _), (columns, rows) = read_table(submission), read_table(labels.table)
    tables = [(submission, header), (labels.table, columns)]
    said, its = said_where_there(labels.id_column, tables)
    key = its or (ID if ID in columns else None)
    known = {row[columns.index(key)] for row in rows} if key else ()
    return read_submission(submission, said, known)


def score_classes(found: Oof, labels: Labels, *, labels_only: bool = False) -> Scorecard:
    """Score predictions of classes, of one family or the plain mean of several, joined by id.

    With `labels_only` they are 0 and 1, and no metric of probabilities is scored.

    Raises:
        UsageError: ids without a label, or labels that are no class.
    """
    return _of_classes(
        found.ids, _mean(found), found.classes, labels,
        labels_only=labels_only, notes=_told(found),
    )  # fmt: skip


def score_values(found: Oof, labels: Labels) -> Scorecard:
    """Score predictions of a multilabel task or a regression, joined by id.

    Args:
        found: The predictions of one family, or of several whose plain mean is scored:
            probabilities, 0 and 1, or values.
        labels: A table as `labels.read_truth` takes it.

    Raises:
        UsageError: ids without a label, columns that differ, or values that are none.
    """
    task, values = found.task, _mean(found)
    notes = [*_told(found)]
    y = read_truth(
        labels.table, found, labels.column, labels.group,
        id_column=labels.id_column, tell=notes.append,
    )  # fmt: skip
    several = TASKS[task].several
    labels_only = several and bool(np.isin(values, (0, 1)).all())
    allowed = metrics_of_values(task, y, labels_only=labels_only)
    groups = labels.groups(found.ids, notes.append)
    said = labels_given(values, Decision()) if several else values
    return Scorecard(
        rows=len(found.ids),
        rescaled=0,
        classes=found.classes,
        lines=tuple(score_by(metric, y, values, groups) for metric in allowed),
        counts=np.zeros((0, 0)),
        by_class=scores_of_labels(y, said, found.classes) if several else (),
        notes=tuple(dict.fromkeys(notes)),
        compared=Compared(found.ids, found.classes, y, values, groups, task, labels_only),
    )


def _of_classes(
    ids: Sequence[str],
    scores: Pooled,
    classes: tuple[str, ...],
    labels: Labels,
    *,
    labels_only: bool = False,
    notes: Sequence[str] = (),
) -> Scorecard:
    """Score N rows of probabilities (N, C), or of anything from 0 on that is divided by its sum."""
    told = [*notes]
    truth = labels.of(ids, told.append)
    scores, classes = in_order(scores, classes, labels.classes)
    sums = scores.sum(1, keepdims=True)
    odd = sorted({truth[name] for name in ids} - set(classes))
    if odd:
        pair = ". One column is of two classes: --classes NEGATIVE,POSITIVE names them"
        raise UsageError(
            f"{labels.table}: labels without a column, or none of the classes {few(classes)}: "
            f"{few(odd)}{pair if sorted(classes) == ['0', '1'] else ''}"
        )
    y, probs, groups = truth_of(ids, truth, classes), scores / sums, labels.groups(ids, told.append)
    counts = confusion(y, probs.argmax(1), len(classes))
    allowed = metrics_of_classes(y, classes, labels.classes, labels_only=labels_only)
    return Scorecard(
        rows=len(y),
        rescaled=int((np.abs(sums - 1) > _ROUNDING).sum()),
        classes=classes,
        lines=tuple(score_by(metric, y, probs, groups) for metric in allowed),
        counts=counts,
        by_class=scores_of_counts(counts, classes),
        notes=tuple(dict.fromkeys([*told, *absent_grades(y, classes)])),
        compared=Compared(
            tuple(ids), classes, y, probs, groups, task="classification", labels_only=labels_only
        ),
    )


def _mean(found: Oof) -> Pooled:
    families = [np.asarray(each, np.float64) for each in found.families.values()]
    return np.asarray(np.mean(families, axis=0), np.float64)


def _told(found: Oof) -> tuple[str, ...]:
    """Return what a person should know of predictions that were scored."""
    several = f"scored is the plain mean of the families {few(list(found.families))}"
    return (*found.notes, several) if len(found.families) > 1 else found.notes
