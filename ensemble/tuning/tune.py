"""Weights from files of out-of-fold predictions and labels: `ensemble tune-weights`."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import UsageError, few
from ensemble.evaluation import metrics
from ensemble.evaluation.folds import folds_from
from ensemble.evaluation.joint_labels import read_joint_truth
from ensemble.evaluation.labels import check_grouped, read_truth
from ensemble.evaluation.metrics import Truth
from ensemble.files.csv_tables import column_of
from ensemble.files.ids import Tell
from ensemble.predictions.formats import read_all
from ensemble.predictions.table import Predictions, in_order, refuse_unpredicted
from ensemble.predictions.tasks import TaskPredictions
from ensemble.progress import Progress, Quiet
from ensemble.records import TASKS
from ensemble.tuning import checks
from ensemble.tuning.tempered import temperature_of
from ensemble.tuning.weigh import TuneOrder, weigh
from ensemble.tuning.weigh_tasks import weigh_tasks
from ensemble.voting.evidence import EvidenceRecord, HoldoutFit
from ensemble.voting.fits import check_fits
from ensemble.voting.pools import tempered
from ensemble.voting.vote import fuse
from ensemble.voting.weights import Weights


def tune_weights(order: TuneOrder, progress: Progress | None = None) -> Weights:
    """Find the weights of families by their out-of-fold predictions, and what they are worth.

    Raises:
        UsageError: the files do not fit together, or the metric is not defined on them.
    """
    joined = read_all(order.files, order.elsewhere)
    holdout = read_all(order.holdout, order.elsewhere) if order.holdout else None
    return tune_predictions(joined, holdout, order, progress or Quiet())


def tune_predictions(
    joined: Predictions, holdout: Predictions | None, order: TuneOrder, progress: Progress
) -> Weights:
    """Find weights as `tune_weights` does, by predictions that are in memory.

    Args:
        joined: The out-of-fold predictions; `order.files` are not read.
        holdout: Those of rows outside all folds; `order.holdout` are not read.
        order: Labels, folds, groups, and what the blend is for.
        progress: Told of what makes the answer weak.

    Raises:
        UsageError: as for `tune_weights`.
    """
    if order.holdout_labels is not None and holdout is None:
        raise UsageError("--holdout-labels are of the rows of --holdout; give both")
    notes: list[str] = []
    ids, said = joined.ids, order.id_column
    if order.folds is not None:
        joined = replace(joined, folds=folds_from(order.folds, ids, said, notes.append))
        refuse_unpredicted(joined)
    beside = order.group if order.groups is None else None
    read = partial(
        read_truth, label_column=order.label_column, group=beside, id_column=said, tell=notes.append
    )
    y = read(order.labels, joined)
    groups = _groups(order, ids, joined.folds, notes.append)
    held = None if holdout is None else read(order.holdout_labels or order.labels, holdout)
    _tell_once(notes, progress)
    weights = weigh(joined, y, order, groups, progress)
    if holdout is None or held is None:
        return weights
    return calibrate(weights, holdout, held, ids)


def tune_tasks(tasks: TaskPredictions, order: TuneOrder, progress: Progress) -> Weights:
    """Find the weights of several tasks by predictions that are in memory.

    Args:
        tasks: The out-of-fold predictions; `order.files` are not read.
        order: Labels, folds, groups, and what the blend is for.
        progress: Told of what makes the answer weak.

    Raises:
        UsageError: as for `tune_weights`; or a hold-out, whose temperature the pool has already.
    """
    if order.holdout or order.holdout_labels is not None:
        raise UsageError(
            "--holdout: weights of a label map carry no temperature of their own; leave it out"
        )
    notes: list[str] = []
    if order.folds is not None:
        folds = folds_from(order.folds, tasks.ids, order.id_column, notes.append)
        parts = tuple(replace(part, folds=folds) for part in tasks.parts)
        for part in parts:
            refuse_unpredicted(part)
        tasks = replace(tasks, parts=parts)
    y = read_joint_truth(
        order.labels,
        tasks.ids,
        tasks.label_map,
        order.label_column,
        id_column=order.id_column,
        tell=notes.append,
    )
    groups = _groups(order, tasks.ids, tasks.folds, notes.append)
    _tell_once(notes, progress)
    return weigh_tasks(tasks, y, order, groups, progress)


def _groups(
    order: TuneOrder, ids: Sequence[str], folds: Indices | None, tell: Tell
) -> Indices | None:
    """Return the group of each row, int64 (N,), where there are groups."""
    if order.group is None:
        return None
    table = order.groups or order.labels
    named = column_of(table, order.group, order.id_column, ids, tell)
    check_grouped(named, ids, table)
    return checks.groups_of(ids, named, folds)


def _tell_once(notes: Sequence[str], progress: Progress) -> None:
    """Tell each note once: labels and groups may be of one table."""
    for note in dict.fromkeys(notes):
        progress.warn(note)


def calibrate(
    weights: Weights, holdout: Predictions, y: Truth, tuned_on: Collection[str]
) -> Weights:
    """Fit the temperature on rows that no fold saw, predicted as the test images will be.

    Out of fold a single member predicts; deployed, a family is the mean of its folds, which is
    better and less confident. So its temperature is another, which only such rows tell.

    Args:
        weights: What `weigh` gave.
        holdout: The families' predictions of the hold-out rows, each the mean of its folds.
        y: The truth of these rows, int64 (N,), in the order of the predictions' classes.
        tuned_on: The ids that the weights were tuned on.

    Raises:
        UsageError: rows that the weights were tuned on, or other families, members or classes.
    """
    rule = weights.decision
    if weights.pool == "rank" or not TASKS[holdout.task].single or rule.cut_points:
        raise UsageError(
            "--holdout: ranks, labels and values have no temperature, and cut points belong to "
            "theirs; leave it out"
        )
    if seen := sorted(set(holdout.ids) & set(tuned_on)):
        raise UsageError(f"--holdout: the weights were tuned on {few(seen)}; take other rows")
    held = in_order(holdout, weights.classes)
    check_fits(weights, held.classes, held.hashes)
    places = np.array([held.classes.index(name) for name in holdout.classes])
    found = places[y.astype(np.int64)]
    plain = replace(weights, temperature=1.0)
    probs = fuse(held.ballots, "soft", plain, held.task).probs
    temperature = temperature_of(probs, found)
    before, after = (
        metrics.log_loss(found, tempered(probs, t)) for t in (weights.temperature, temperature)
    )
    record: HoldoutFit = {"n": len(found), "log_loss_before": before, "log_loss": after}
    evidence: EvidenceRecord = {**weights.evidence, "holdout": record}
    # p^(1/T) / prior^tau has the argmax of its own power: the labels stay those of the evidence
    tau = rule.prior_tau * weights.temperature / temperature
    rule = replace(rule, prior_tau=tau)
    return replace(weights, temperature=temperature, decision=rule, evidence=evidence)
