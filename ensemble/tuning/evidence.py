"""Is the blend really better? Nested predictions, an interval, and a verdict.

Each fold is predicted by a blend fitted on the other folds; all predictions are then scored at
once. The apparent score, on the rows that the blend was fitted on, is mostly fiction for blends
that chase a metric; it is reported beside, and labelled so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import bdtr

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.evaluation.bootstrap import Spread, spread
from ensemble.evaluation.metrics import Metric, Truth
from ensemble.records import TASKS, Task
from ensemble.tuning.fit import can_polish, fit, uniform
from ensemble.voting.blend import Blend
from ensemble.voting.pools import Stack
from ensemble.voting.weights import NO_EVIDENCE, Polish, Pool

Tick = Callable[[int], None]
Verdict = Literal["gain", "weak", "no evidence"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the out-of-fold rows say of a blend. Scores are the metric's own, gains are upward.

    `singles` has each family's own score. `nested` and `gain` are None without two folds or
    more: then nothing is known but the apparent score.
    """

    rows: int
    folds: int
    singles: Vector
    uniform: float
    apparent: float
    apparent_gain: float
    nested: float | None
    gain: Spread | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Tuned:
    """The blend to use, the one that was fitted, and the evidence.

    They differ where the nested gain is not above one standard error: then the plain mean is
    used.
    """

    blend: Blend
    fitted: Blend
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to fit, that competes in cross-validation."""

    pool: Pool
    polish: bool


def tune(
    stack: Stack,
    y: Truth,
    metric: Metric,
    *,
    folds: Indices | None = None,
    groups: Indices | None = None,
    pool: Pool | None = None,
    polish: Polish = "auto",
    tick: Tick = lambda _: None,
) -> Tuned:
    """Fit a blend, and say what it is worth.

    Args:
        stack: The families' out-of-fold predictions, float64 (M, N, C), sorted by name.
        y: The truth, as the metric takes it.
        metric: What the blend is for.
        folds: The fold of each row, int64 (N,); without them there is no evidence.
        groups: Rows that belong together, int64 (N,), are resampled together.
        pool: The pool; None for the metric's default.
        polish: Whether to chase the metric itself: only if that proves itself out of fold,
            always, or never.
        tick: Told of each fit that is done; `fits_of` says how many there are.
    """
    plans = _plans(metric, pool, polish)
    if folds is None or len(np.unique(folds)) < 2:
        fitted = _fit(stack, y, metric, plans[0])
        return Tuned(fitted, fitted, _apparent(stack, y, metric, fitted))
    crossed = [_crossed(stack, y, metric, plan=plan, folds=folds, tick=tick) for plan in plans]
    nested = _selected(crossed, plans, y, metric, folds=folds, groups=groups)
    fitted = _fit(stack, y, metric, plans[_best(crossed, plans, y, metric, groups)])
    plain = uniform(len(stack), metric.task).probs(stack)
    gain = paired(nested, plain, y, metric, groups)
    evidence = replace(
        _apparent(stack, y, metric, fitted),
        folds=len(np.unique(folds)),
        nested=metric.score(y, nested),
        gain=gain,
        verdict=_verdict(gain),
    )
    return Tuned(fitted if _holds(gain) else uniform(len(stack), metric.task), fitted, evidence)


def fits_of(metric: Metric, folds: Indices | None, pool: Pool | None, polish: Polish) -> int:
    """Return how many fits `tune` makes before its last."""
    return 0 if folds is None else len(_plans(metric, pool, polish)) * len(np.unique(folds))


def paired(
    first: Pooled, second: Pooled, y: Truth, metric: Metric, groups: Indices | None = None
) -> Spread:
    """Compare two predictions (N, C) of the same rows: what the first gains over the second.

    By a paired bootstrap of the rows, or of whole groups where there are any. For the accuracy of
    rows without groups, p is that of McNemar's exact test of those that only one has right: it
    takes rows as independent, which those of a group are not.
    """
    gain = spread(metric, y, [first, second], groups)
    if metric.name != "accuracy" or groups is not None:
        return gain
    return replace(gain, p=mcnemar(first, second, y))


def leave_one_out(stack: Stack, y: Truth, metric: Metric, blend: Blend) -> Vector:
    """Return how much the plain refit without each family loses, (M,); needs two families."""
    plan = Candidate(blend.pool, polish=False)
    whole = metric.score(y, _fit(stack, y, metric, plan).predicted(stack))
    losses = []
    for family in range(len(stack)):
        rest = np.delete(stack, family, 0)
        score = metric.score(y, _fit(rest, y, metric, plan).predicted(rest))
        losses.append(metric.gain(whole, score))
    return np.array(losses)


def error_correlations(stack: Stack, y: Truth, task: Task = "classification") -> Pooled:
    """Return the correlation (M, M) of the families' errors.

    They are 1 - p of the true class; |y - p| of each label; or the residual of each value. NaN for
    a family whose errors are all alike, which correlate with nothing.
    """
    if TASKS[task].single:
        errors = 1 - stack[:, np.arange(len(y)), y.astype(np.int64)]
    else:
        errors = (stack - y).reshape(len(stack), -1)
        errors = np.abs(errors) if TASKS[task].several else errors
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.asarray(np.corrcoef(errors), np.float64).reshape(len(stack), len(stack))
    alike = (errors == errors[:, :1]).all(1)  # rounding may give them a spread
    found[alike], found[:, alike] = np.nan, np.nan
    return found


def _plans(metric: Metric, pool: Pool | None, polish: Polish) -> list[Candidate]:
    """List the ways to fit, the plainest first."""
    pools = _pools(metric, pool)
    plans = [Candidate(p, polish == "always") for p in pools]
    searched = metric.by_label and polish == "auto" and can_polish(metric)
    return plans + ([Candidate(pools[0], polish=True)] if searched else [])


def _pools(metric: Metric, pool: Pool | None) -> Sequence[Pool]:
    if metric.name == "brier" or not TASKS[metric.task].bounded:
        return ("linear",)
    if pool:
        return (pool,)
    both = metric.by_label or metric.name == "top_k"
    return ("log-linear", "linear") if both else ("log-linear",)


def _fit(stack: Stack, y: Truth, metric: Metric, plan: Candidate) -> Blend:
    return fit(stack, y, metric, plan.pool, polish=plan.polish)


def _crossed(
    stack: Stack,
    y: Truth,
    metric: Metric,
    *,
    plan: Candidate,
    folds: Indices,
    tick: Tick,
) -> Pooled:
    """Predict each fold by a blend fitted on the others, (N, C)."""
    out = np.empty(stack.shape[1:])
    for fold in np.unique(folds):
        held = folds == fold
        blend = _fit(stack[:, ~held], y[~held], metric, plan)
        out[held] = blend.predicted(stack[:, held])
        tick(1)
    return out


def _selected(
    crossed: Sequence[Pooled],
    plans: Sequence[Candidate],
    y: Truth,
    metric: Metric,
    *,
    folds: Indices,
    groups: Indices | None,
) -> Pooled:
    """Choose a plan for each fold by the other folds' rows, so that the choice is nested too."""
    out = np.empty_like(crossed[0])
    for fold in np.unique(folds):
        held = folds == fold
        others = [each[~held] for each in crossed]
        beside = None if groups is None else groups[~held]
        out[held] = crossed[_best(others, plans, y[~held], metric, beside)][held]
    return out


def _best(
    crossed: Sequence[Pooled],
    plans: Sequence[Candidate],
    y: Truth,
    metric: Metric,
    groups: Indices | None,
) -> int:
    """Return the plan with the best score; polish only where it gains a standard error."""
    scores = [metric.score(y, each) for each in crossed]
    plain = [n for n, plan in enumerate(plans) if not plan.polish] or list(range(len(plans)))
    best = max(plain, key=lambda n: metric.gain(scores[n], scores[plain[0]]))
    for number, plan in enumerate(plans):
        if plan.polish and number not in plain:
            gain = paired(crossed[number], crossed[best], y, metric, groups)
            best = number if _holds(gain) else best
    return best


def _apparent(stack: Stack, y: Truth, metric: Metric, fitted: Blend) -> Evidence:
    """Return what the rows that a blend was fitted on say of it: no evidence."""
    plain = metric.score(y, uniform(len(stack), metric.task).probs(stack))
    apparent = metric.score(y, fitted.predicted(stack))
    return Evidence(
        rows=len(y),
        folds=0,
        singles=np.array([metric.score(y, probs) for probs in stack]),
        uniform=plain,
        apparent=apparent,
        apparent_gain=metric.gain(apparent, plain),
        nested=None,
        gain=None,
        verdict=NO_EVIDENCE,
    )


def _verdict(gain: Spread) -> Verdict:
    if not _holds(gain):
        return NO_EVIDENCE
    return "gain" if gain.interval and gain.interval[0] > 0 else "weak"


def _holds(gain: Spread) -> bool:
    """Tell whether a gain is above one standard error; one without an error is not."""
    return gain.error is not None and gain.value > gain.error


def mcnemar(first: Pooled, second: Pooled, y: Truth) -> float:
    """Return the p-value of McNemar's exact test that two predictions are as often right.

    Twice the binomial tail, as `scipy.stats.binomtest` has it, which takes a second to import.

    Args:
        first: Probabilities (N, C).
        second: The same rows, by another blend.
        y: The class of each row, (N,).
    """
    one, two = first.argmax(1) == y, second.argmax(1) == y
    wins, losses = int((one & ~two).sum()), int((two & ~one).sum())
    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))
