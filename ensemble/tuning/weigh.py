"""Weights tuned on out-of-fold predictions, and what they are worth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, cast

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.evaluation import metrics
from ensemble.evaluation.bootstrap import Spread
from ensemble.evaluation.metrics import Metric, Score, Truth
from ensemble.files.text_table import TableSource
from ensemble.label_map import LabelMap
from ensemble.predictions import table as files
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.table import Predictions
from ensemble.progress import Progress
from ensemble.records import TASKS, Task, check_choice
from ensemble.tuning import checks
from ensemble.tuning.blocks import Stored, kept, score_of, scores_of
from ensemble.tuning.candidates import Candidate
from ensemble.tuning.evidence import (
    Evidence,
    Judged,
    Tick,
    Tuned,
    error_correlations,
    fits_of,
    leave_one_out,
    tune,
)
from ensemble.tuning.fit import can_polish, has_rule
from ensemble.user_code import load_object
from ensemble.voting.blend import shares_of
from ensemble.voting.decision import order_of
from ensemble.voting.evidence import BestSingle, CandidateRecord, EvidenceRecord
from ensemble.voting.weights import Polish, Pool, Weights, Write

_NO_RANKS: Final = ("log_loss", "brier", "qwk", "balanced_accuracy", "f1_macro")


@dataclass(frozen=True, slots=True)
class TuneOrder:
    """What weights are to be tuned on, and for what.

    `files` are OOF files with the name of their family, or None for those that the file names.
    `id_column` is the column of their ids; None takes `id`, or the column that holds them.
    `folds` is a CSV with `id` and `fold`; None takes the folds of the files. `group` is a column
    of the labels. `pool` None tries those that suit the metric. `write` says which blend is
    written: by the evidence, or always one. `holdout` are files as `files`, of rows outside all
    folds; `holdout_labels` None takes their labels from `labels` too. `elsewhere` is what the files
    do not say. `groups` is the table that has the column `group`; None takes it from the labels.
    `label_map` says which tasks the files' heads answer, and together which label.
    """

    files: Sequence[tuple[str | None, Path]]
    labels: TableSource
    metric: str
    label_column: str = "label"
    id_column: str | None = None
    folds: TableSource | None = None
    group: str | None = None
    pool: Pool | None = None
    polish: Polish = "auto"
    write: Write = "auto"
    holdout: Sequence[tuple[str | None, Path]] = ()
    holdout_labels: TableSource | None = None
    groups: TableSource | None = None
    elsewhere: ForeignHints = field(default_factory=ForeignHints)
    label_map: LabelMap | None = None


def weigh(
    oof: Predictions,
    y: Truth,
    order: TuneOrder,
    groups: Indices | None,
    progress: Progress,
) -> Weights:
    """Tune weights on predictions that are in memory; see `tune_weights`."""
    metric = metric_for(oof, order, len(oof.families))
    for note in oof.notes:
        progress.warn(note)
    if oof.rescaled:
        progress.warn(files.describe_rescaling(oof.rescaled))
    checks.check_rows(y, oof.classes, metric, oof.folds)
    names, stack = list(oof.families), kept(list(oof.families.values()))
    steps = steps_of(oof.classes, progress) if metric.name == "qwk" else ()
    if steps:
        stack, y = stack[:, :, steps], np.argsort(steps)[y.astype(np.int64)]
        metric = metrics.kappa_between([int(oof.classes[place]) for place in steps])
    _check_finite(metric, stack, y)
    for note in checks.notes_of(names, stack, oof.folds):
        progress.warn(note)
    refits = len(names) if len(names) > 1 else 0
    nested = fits_of(metric, len(names), oof.folds, order.pool, order.polish)
    progress.start(nested + refits, 1, "fits")
    found = tune(
        stack,
        y,
        metric,
        folds=oof.folds,
        groups=groups,
        pool=order.pool,
        polish=order.polish,
        write=order.write,
        tick=progress.advance,
    )
    blend = found.blend
    rule = blend.decision
    return Weights(
        families=shares_of(blend, names),
        pool=blend.pool,
        temperature=blend.temperature,
        decision=replace(rule, order=steps) if rule.cut_points else rule,
        ranks=_ranks_of(found, names),
        classes=oof.classes,
        members=oof.members,
        views=oof.views,
        metric=metric.name,
        task=oof.task,
        evidence={
            "rescaled": oof.rescaled,
            **evidence_of(found, names, metric, *_alone(found, names, metric)),
            **_compared(found, names, stack, y, metric, tick=progress.advance),
        },
    )


def metric_named(name: str, task: Task) -> Metric:
    """Return a metric of the package, or the callable that pkg.mod:fn names; greater is better.

    Raises:
        UsageError: there is no such metric, or it is no function; and when it scores: the callable
            raised, or gave no finite number.
    """
    if ":" not in name:
        return metrics.metric_of(name, task)
    function = load_object(name, "--metric")
    if not callable(function):
        raise UsageError(f"--metric {name!r}: it is no function of (y, probs)")
    return Metric(name, _answering(name, cast(Score, function)), True, task)


def metric_for(oof: Predictions, order: TuneOrder, families: int) -> Metric:
    """Return the metric of an order, having checked that these predictions can be tuned for it."""
    if oof.deployed:
        raise UsageError(
            "--oof: these are a run's predictions, made with every fold of a family. Weights are "
            "tuned on rows that a member did not see: make them with `ensemble oof`"
        )
    metric = metric_named(order.metric, oof.task)
    _check_order(order, metric, families)
    if metric.name == "qwk" and not (oof.ordered or order_of(oof.classes)):
        raise UsageError("qwk: the files name the classes in different orders; which one is meant?")
    return metric


def steps_of(classes: Sequence[str], progress: Progress) -> tuple[int, ...]:
    """Return the order of the classes by their numbers; without numbers they are taken as given."""
    steps = order_of(classes)
    if not steps:
        progress.warn(f"qwk: classes without numbers are taken in their order: {few(classes)}")
    numbers = [int(classes[place]) for place in steps]
    if any(after - before != 1 for before, after in pairwise(numbers)):
        progress.warn(f"qwk: the classes are worth their numbers, {few(numbers)}, of which some "
                      f"between the least and the largest are no class")  # fmt: skip
    return steps


def nulled(table: Pooled) -> list[list[float | None]]:
    """Return a table as JSON has it, with None where a number is not defined."""
    return [[None if math.isnan(cell) else cell for cell in row] for row in table.tolist()]


def _check_finite(metric: Metric, stack: Stored, y: Truth) -> None:
    """Check, before any fit, that each family and their mean have a score."""
    mean = score_of(metric, y, stack, lambda block: np.asarray(block.mean(0)))
    scores = [*scores_of(metric, y, stack), mean]
    if not np.isfinite(scores).all():
        raise UsageError(
            f"--metric {metric.name}: expected a finite number for each family and their mean, "
            f"found {few(scores)}"
        )


def _listed(gain: Spread | None) -> list[float] | None:
    return None if gain is None or gain.interval is None else list(gain.interval)


def _ranks_of(found: Tuned, names: Sequence[str]) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Return the quantiles of a pool of ranks, also where the plain mean was better."""
    if found.fitted.ranks is None:
        return {}
    rows = found.fitted.ranks.tolist()
    return {name: tuple(map(tuple, knots)) for name, knots in zip(names, rows, strict=True)}


def _answering(name: str, function: Score) -> Score:
    """Return a metric of the user's own, whose faults are told as its own."""

    def score(y: Truth, probs: Pooled) -> float:
        try:
            value = float(function(y, probs))
        except Exception as error:
            raise UsageError(f"--metric {name!r} raised {type(error).__name__}: {error}") from error
        if not math.isfinite(value):
            raise UsageError(f"--metric {name!r} gave {value}; expected a finite number")
        return value

    return score


def _alone(
    found: Tuned, names: Sequence[str], metric: Metric
) -> tuple[dict[str, float], BestSingle]:
    """Return what each family is worth alone, and the best of them."""
    singles = dict(zip(names, found.evidence.singles.tolist(), strict=True))
    best = max(singles, key=lambda name: metric.gain(singles[name], 0.0))
    return singles, {"family": best, "score": singles[best]}


def _compared(
    found: Tuned,
    names: Sequence[str],
    stack: Stored,
    y: Truth,
    metric: Metric,
    *,
    tick: Tick,
) -> EvidenceRecord:
    """Return how alike families err, and what a blend loses without each."""
    record: EvidenceRecord = {
        "error_correlations": nulled(error_correlations(stack, y, metric.task))
    }
    if len(names) > 1:
        plain = replace(found.best, rule=has_rule(metric))
        known = plain == found.best and plain.name == found.fitted.pool and not plain.polish
        whole = found.evidence.apparent if known else None
        losses = leave_one_out(stack, y, metric, found.fitted, whole=whole, tick=tick)
        record["loss_without"] = dict(zip(names, losses.tolist(), strict=True))
    return record


def evidence_of(
    found: Tuned,
    names: Sequence[str],
    metric: Metric,
    singles: dict[str, float],
    best: BestSingle,
) -> EvidenceRecord:
    """Return what the evidence says as JSON-ready values; what is not defined is None.

    Args:
        found: The blends that were tuned.
        names: The columns that they blend.
        metric: What they are for.
        singles: What each is worth alone.
        best: The best that there is without a blend.
    """
    seen, fitted = found.evidence, found.fitted
    return {
        "n": seen.rows,
        "folds": seen.folds,
        "singles": singles,
        "best_single": best,
        "uniform": seen.uniform,
        "apparent": seen.apparent,
        "apparent_gain": seen.apparent_gain,
        "nested": seen.nested,
        "alone": seen.alone,
        "candidates": [_judged(each) for each in seen.judged],
        "written": _named(found.chosen),
        "corrected": _corrected(seen, metric),
        "gain": None if seen.gain is None else seen.gain.value,
        "gain_ci95": _listed(seen.gain),
        "p": None if seen.gain is None else seen.gain.p,
        "verdict": seen.verdict,
        "fitted": {
            "pool": fitted.pool,
            "weights": dict(zip(names, fitted.weights.tolist(), strict=True)),
            "temperature": fitted.temperature,
        },
    }


def _judged(found: Judged) -> CandidateRecord:
    return {
        "blend": _named(found.candidate),
        "score": found.score,
        "gain": found.gain,
        "error": found.error,
    }


def _named(way: Candidate) -> str:
    """Name a candidate in words by the pool that it gives: "linear, polished, with rule"."""
    words = [way.pool, *["with rule"] * way.rule]
    if way.polish:
        words.insert(1, "polished" if way.pool == way.name else f"polished from {way.name}")
    return ", ".join(words)


def _corrected(seen: Evidence, metric: Metric) -> float | None:
    """Return the score to expect: the plain mean's, and what choosing gains."""
    if seen.gain is None:
        return None
    return seen.uniform + (seen.gain.value if metric.greater else -seen.gain.value)


def _check_order(order: TuneOrder, metric: Metric, families: int) -> None:
    check_choice("polish", order.polish, Polish)
    check_choice("write", order.write, Write)
    if order.write == "best" and (order.pool is not None or families < 2):
        raise UsageError(
            "--write best: no best single family competes, since there is one family, or --pool "
            "lets its pool meet the plain mean alone; leave one of them out"
        )
    if order.pool is not None:
        check_choice("pool", order.pool, Pool)
        _check_pool(order.pool, metric)
    if order.polish == "always" and not can_polish(metric):
        raise UsageError(
            f"--polish always: there is no search for {metric.name} of {metric.task}; leave it out"
        )


def _check_pool(pool: Pool, metric: Metric) -> None:
    """Refuse a pool of which the task or the metric can make nothing."""
    if pool == "rank" and (not TASKS[metric.task].single or metric.name in _NO_RANKS):
        raise UsageError(
            f"a pool of ranks gives scores of classes that are no probabilities, which "
            f"{metric.name} of {metric.task} needs; it suits auc and accuracy"
        )
    if pool == "log-linear" and metric.name == "brier":
        raise UsageError("the Brier score is least squares, of a linear pool; leave out --pool")
    if pool == "log-linear" and not TASKS[metric.task].bounded:
        raise UsageError("a log-linear pool needs probabilities; a regression pools linearly")
