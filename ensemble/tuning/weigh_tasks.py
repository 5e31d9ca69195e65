"""Weights of several tasks, tuned on out-of-fold predictions, and what they are worth."""

from collections.abc import Mapping, Sequence

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError
from ensemble.evaluation.metrics import Metric
from ensemble.label_map import LabelMap
from ensemble.predictions import table as files
from ensemble.predictions.tasks import TaskPredictions
from ensemble.progress import Progress
from ensemble.tuning import checks, joint
from ensemble.tuning.blocks import Stored, score_of
from ensemble.tuning.candidates import rivals_of
from ensemble.tuning.evidence import error_correlations, tune
from ensemble.tuning.fit import ruled
from ensemble.tuning.weigh import TuneOrder, evidence_of, metric_for, nulled
from ensemble.voting.blend import shares_of
from ensemble.voting.evidence import BestSingle, EvidenceRecord, TaskScores
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.lift import TaskColumn, class_places, groups_of, lifted, marginals
from ensemble.voting.weights import Weights


def weigh_tasks(
    tasks: TaskPredictions,
    y: Indices,
    order: TuneOrder,
    groups: Indices | None,
    progress: Progress,
) -> Weights:
    """Tune weights on predictions of several tasks; see `tuning.joint`.

    Args:
        tasks: Out-of-fold predictions of the tasks of a label map.
        y: The label of each row, int64 (N,).
        order: What the blend is for.
        groups: Rows that belong together, int64 (N,).
        progress: Told of what makes the answer weak.

    Raises:
        UsageError: a metric that is not defined on the rows, or a setting without a meaning here.
    """
    found, label_map = tasks.label, tasks.label_map
    metric = _metric_of(tasks, order, progress)
    checks.check_rows(y, label_map.labels, metric, tasks.folds)
    columns, spreads = joint.with_spreads(tasks.columns(), label_map, y, tasks.folds)
    names, stack = [each.name for each in columns], lifted(columns, label_map)
    rivals = joint.joint_rivals(columns, label_map, metric)
    if len(label_map.tasks) == 1:
        rivals = rivals_of(metric, len(columns), order.pool, order.polish)
    folds = tasks.folds
    fits = len(rivals.ways) * (0 if folds is None else len(np.unique(folds)))
    progress.start(fits, 1, "fits")
    tuned = tune(
        stack,
        y,
        metric,
        folds=folds,
        groups=groups,
        write=order.write,
        tick=progress.advance,
        rivals=rivals,
    )
    blend = tuned.blend
    logs = () if blend.dependence is None else tuple(blend.dependence.tolist())
    return Weights(
        families=shares_of(blend, names),
        pool=blend.pool,
        temperature=blend.temperature,
        decision=blend.decision,
        classes=label_map.labels,
        members=found.members,
        views=found.views,
        metric=metric.name,
        task="classification",
        evidence={
            "rescaled": found.rescaled,
            **evidence_of(tuned, names, metric, *_alone(columns, tasks.label_map, y, metric)),
            **_compared(columns, label_map, stack, y, metric),
            "tasks": _by_task(tuned.nested(stack), columns, label_map, y, metric),
        },
        joint=JointWeights(label_map, spreads, logs, blend.rho),
    )


def _metric_of(tasks: TaskPredictions, order: TuneOrder, progress: Progress) -> Metric:
    """Return the metric of an order, having said what the files leave to say."""
    found = tasks.label
    metric = metric_for(found, order, len(tasks.columns()))
    if len(tasks.label_map.tasks) > 1 and (order.pool is not None or order.polish == "always"):
        raise UsageError(
            "--pool and --polish are for one task: of several the product of the tasks' means "
            "meets the best alone and the log-linear pool; leave them out"
        )
    if metric.name == "qwk":
        raise UsageError("--metric qwk: labels of several tasks have no order; take f1_macro")
    for note in found.notes:
        progress.warn(note)
    if found.rescaled:
        progress.warn(files.describe_rescaling(found.rescaled))
    return metric


def _alone(
    columns: Sequence[TaskColumn], label_map: LabelMap, y: Indices, metric: Metric
) -> tuple[dict[str, float], BestSingle]:
    """Return what columns are worth on what they answer, and the best that needs no pool."""
    stack = lifted(columns, label_map)
    groups, places = groups_of(columns, label_map), class_places(label_map)
    best = ruled(joint.best_alone(stack, y, metric, groups, places), stack, y, metric)
    named = joint.named_alone(best, columns)
    score = metric.score(y, best.predicted(stack))
    return joint.own_scores(columns, label_map, y, metric), {"family": named, "score": score}


def _compared(
    columns: Sequence[TaskColumn], label_map: LabelMap, stack: Stored, y: Indices, metric: Metric
) -> EvidenceRecord:
    """Return how alike columns err, and what the pool, fitted anew, loses without each family."""
    whole = _pooled(columns, label_map, stack, y, metric)
    losses: dict[str, float | None] = {}
    for family in sorted({each.family for each in columns}):
        rest = joint.without(family, columns)
        left = [columns[j] for j in rest]
        losses[family] = None
        if left and joint.answerable(left, label_map):
            losses[family] = metric.gain(whole, _pooled(left, label_map, stack[rest], y, metric))
    return {
        "error_correlations": nulled(error_correlations(stack, y)),
        "loss_without": losses,
    }


def _pooled(
    columns: Sequence[TaskColumn], label_map: LabelMap, stack: Stored, y: Indices, metric: Metric
) -> float:
    """Return the score of the lifted pool on the rows that it was fitted on."""
    rivals = joint.joint_rivals(columns, label_map, metric)
    blend = next(rivals.fits(stack, y, rivals.ways[-1:]))
    return score_of(metric, y, stack, blend.predicted)


def _by_task(
    nested: Pooled | None,
    columns: Sequence[TaskColumn],
    label_map: LabelMap,
    y: Indices,
    metric: Metric,
) -> Mapping[str, TaskScores]:
    """Return how each task fares: by the mean of its columns, and by the written blend, nested.

    What the metric sees of the latter is (N, K).
    """
    truth = joint.truths(label_map, y)
    said = {} if nested is None else marginals(nested, label_map)
    found: dict[str, TaskScores] = {}
    for name in label_map.names:
        own = [each.probs for each in columns if each.task == name]
        found[name] = {
            "uniform": metric.score(truth[name], np.mean(own, axis=0)) if own else None,
            "nested": metric.score(truth[name], said[name]) if said else None,
        }
    return found
