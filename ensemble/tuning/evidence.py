"""Is the blend really better? Nested predictions, a choice that is paid for, and a verdict.

Each fold is predicted by blends fitted on the other folds; all predictions are then scored at
once. The apparent score, on the rows that the blend was fitted on, is mostly fiction for blends
that chase a metric; it is reported beside, and labelled so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.cores import each
from ensemble.evaluation.bootstrap import Spread, spread
from ensemble.evaluation.metrics import Metric, Truth
from ensemble.evaluation.seen import Rows, Seen
from ensemble.records import TASKS, Task
from ensemble.tuning.blocks import Stored, exact, filled, parts_of, score_of, scores_of
from ensemble.tuning.candidates import (
    Candidate,
    Rivals,
    candidates_of,
    crossed,
    fitted,
    rivals_of,
    variants_of,
    without_rule,
)
from ensemble.tuning.choice import Choice, choose
from ensemble.tuning.convex import own_probs
from ensemble.tuning.fit import fit as fit_pool
from ensemble.tuning.fit import has_rule
from ensemble.voting.blend import Blend
from ensemble.voting.weights import NO_EVIDENCE, Polish, Pool, Write

Tick = Callable[[int], None]
Verdict = Literal["gain", "weak", "no evidence"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate's nested score, its gain over the plain mean, upward, and the gain's error."""

    candidate: Candidate
    score: float
    gain: float
    error: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the out-of-fold rows say of a blend. Scores are the metric's own, gains are upward.

    `singles` has each family's own score. `nested` is the score of the blend that was fitted on
    rows that it did not see, `alone` that of its weights without the decision rule. `gain` is what
    choosing among the candidates gains over the plain mean, on rows that the choice did not see.
    These are None, and `judged` is empty, without two folds or more: then nothing is known but the
    apparent score.
    """

    rows: int
    folds: int
    singles: Vector
    uniform: float
    apparent: float
    apparent_gain: float
    nested: float | None = None
    alone: float | None = None
    gain: Spread | None = None
    verdict: Verdict = NO_EVIDENCE
    judged: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True)
class Tuned:
    """The blend to use, by which candidate, the best one that was fitted, and the evidence.

    They differ where the plain mean is used, which nothing was fitted for. `by_fold` are the rows
    of each fold, a mask (N,), and the blend to use as it was fitted on the others; empty without
    folds. `best` is the candidate of the best one that was fitted.
    """

    blend: Blend
    chosen: Candidate
    fitted: Blend
    best: Candidate
    evidence: Evidence
    by_fold: Sequence[tuple[NDArray[np.bool_], Blend]] = ()

    def nested(self, stack: Stored) -> Pooled | None:
        """Return the blend's predictions (N, C), each row's by its fit on the other folds, or None.

        None where there are no folds.
        """
        if not self.by_fold:
            return None
        out = np.empty(stack.shape[1:])
        for held, blend in self.by_fold:
            out[held] = filled(stack[:, held], blend.predicted)
        return out


def tune(
    stack: Stored,
    y: Truth,
    metric: Metric,
    *,
    folds: Indices | None = None,
    groups: Indices | None = None,
    pool: Pool | None = None,
    polish: Polish = "auto",
    write: Write = "auto",
    tick: Tick = lambda _: None,
    rivals: Rivals | None = None,
) -> Tuned:
    """Fit the candidates, choose one by its nested score, and say what choosing so is worth.

    Args:
        stack: The families' out-of-fold predictions, float32 or float64 (M, N, C), sorted by name.
        y: The truth, as the metric takes it.
        metric: What the blend is for.
        folds: The fold of each row, int64 (N,); without them there is no evidence.
        groups: Rows that belong together, int64 (N,), are resampled together.
        pool: The only pool to try; None for those that suit the metric.
        polish: Whether to chase the metric itself: only if that proves itself out of fold,
            always, or never.
        write: Which blend to use: by the evidence (without folds the plain mean), or always the
            best that was fitted, the plain mean or the best single family.
        tick: Told of each fold's fit that is done; `fits_of` says how many there are.
        rivals: What competes, in place of what `pool` and `polish` say; see `tuning.joint`.
    """
    rivals = rivals or rivals_of(metric, len(stack), pool, polish)
    if folds is None or len(np.unique(folds)) < 2:
        return _without_folds(stack, y, metric, rivals, write)
    nested, by_fold = _nested(stack, y, metric, rivals, folds, tick=tick)
    variants = variants_of(rivals.ways, metric)
    choice = choose(nested, variants, y, metric, groups=groups, write=write)
    best = fitted(stack, y, metric, variants[choice.best], rivals.fits)
    blend = best if choice.picked else rivals.plain
    evidence = replace(
        _apparent(stack, y, metric, best, rivals.plain),
        folds=len(np.unique(folds)),
        nested=float(choice.scores[choice.best]),
        alone=_alone(choice, variants),
        gain=choice.corrected,
        verdict=_verdict(choice),
        judged=_judged(choice, variants),
    )
    picked = variants[choice.picked]
    way = rivals.ways.index(replace(picked, rule=False))
    own = [(held, without_rule(blends[way], picked)) for held, blends in by_fold]
    return Tuned(blend, picked, best, variants[choice.best], evidence, own)


def fits_of(
    metric: Metric, families: int, folds: Indices | None, pool: Pool | None, polish: Polish
) -> int:
    """Return how many fits of folds `tune` makes before its last."""
    if folds is None:
        return 0
    return len(candidates_of(metric, families, pool, polish)) * len(np.unique(folds))


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


def leave_one_out(
    stack: Stored,
    y: Truth,
    metric: Metric,
    blend: Blend,
    *,
    whole: float | None = None,
    tick: Tick = lambda _: None,
) -> Vector:
    """Return how much the plain refit without each family loses, (M,); needs two families.

    `whole` is the score of the refit of all, where it is known; `tick` is told of each refit.
    """

    def refitted(families: Stored) -> float:
        found = fit_pool(families, y, metric, blend.pool)
        return score_of(metric, y, families, found.predicted)

    whole = refitted(stack) if whole is None else whole
    losses = []
    for family in range(len(stack)):
        losses.append(metric.gain(whole, refitted(np.delete(stack, family, 0))))
        tick(1)
    return np.array(losses)


def error_correlations(stack: Stored, y: Truth, task: Task = "classification") -> Pooled:
    """Return the correlation (M, M) of the families' errors.

    They are 1 - p of the true class; |y - p| of each label; or the residual of each value. NaN for
    a family whose errors are all alike, which correlate with nothing.
    """
    if TASKS[task].single:
        errors = 1 - own_probs(stack, y.astype(np.int64)).T
    else:
        errors = (np.asarray(stack, np.float64) - y).reshape(len(stack), -1)
        errors = np.abs(errors) if TASKS[task].several else errors
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.asarray(np.corrcoef(errors), np.float64).reshape(len(stack), len(stack))
    alike = (errors == errors[:, :1]).all(1)  # rounding may give them a spread
    found[alike], found[:, alike] = np.nan, np.nan
    return found


def _nested(
    stack: Stored, y: Truth, metric: Metric, rivals: Rivals, folds: Indices, *, tick: Tick
) -> tuple[list[Seen], list[tuple[NDArray[np.bool_], list[Blend]]]]:
    """Predict each row by blends of the other folds.

    Returns:
        What the metric sees of each candidate, without and, where the metric has one, with its
        rule; and the rows of each fold with its blends, one a candidate.
    """
    seen: list[list[tuple[Rows, Seen]]] = []
    by_fold = []
    for held, fits in crossed(stack, y, rivals.fits, rivals.ways, folds):
        part, truth, blends, found = stack[:, held], y[held], [], []
        for blend in fits:
            blends.append(blend)
            found += _seen(part, truth, metric, blend)
            tick(1)
        by_fold.append((held, blends))
        seen.append([(held, one) for one in found])
    return [Seen.joined(column, len(y)) for column in zip(*seen, strict=True)], by_fold


def _seen(stack: Stored, y: Truth, metric: Metric, blend: Blend) -> list[Seen]:
    """Return what the metric sees of a blend, without and, where it has one, with its rule."""

    def both(part: slice) -> list[Seen]:
        probs = blend.probs(exact(stack, part))
        shown = [probs, blend.decided(probs)] if has_rule(metric) else [probs]
        return [Seen.of(metric, y[part], one) for one in shown]

    places = parts_of(stack)
    columns = zip(*each(both, places), strict=True)
    return [Seen.joined(list(zip(places, one, strict=True)), len(y)) for one in columns]


def _without_folds(stack: Stored, y: Truth, metric: Metric, rivals: Rivals, write: Write) -> Tuned:
    """Fit the last pool, the one that generalises best, which nothing proves."""
    tried = [way for way in variants_of(rivals.ways, metric) if not way.guarded]
    named = "best" if write == "best" else tried[-1].name
    way = [each for each in tried if each.name == named][-1]
    best = fitted(stack, y, metric, way, rivals.fits)
    evidence = _apparent(stack, y, metric, best, rivals.plain)
    if write in ("auto", "mean"):
        return Tuned(rivals.plain, rivals.ways[0], best, way, evidence)
    return Tuned(best, way, best, way, evidence)


def _alone(choice: Choice, variants: Sequence[Candidate]) -> float | None:
    """Return the nested score of the best blend without its decision rule, if it has one."""
    best = variants[choice.best]
    return float(choice.scores[variants.index(replace(best, rule=False))]) if best.rule else None


def _judged(choice: Choice, variants: Sequence[Candidate]) -> tuple[Judged, ...]:
    found = zip(variants, choice.scores, choice.gains, choice.errors, strict=True)
    return tuple(Judged(way, float(s), float(g), float(e)) for way, s, g, e in found)


def _apparent(stack: Stored, y: Truth, metric: Metric, fitted: Blend, mean: Blend) -> Evidence:
    """Return what the rows that a blend was fitted on say of it: no evidence.

    A column of one task among several has no score of its own for the label.
    """
    plain = score_of(metric, y, stack, mean.probs)
    alone = [] if mean.groups else scores_of(metric, y, stack)
    apparent = score_of(metric, y, stack, fitted.predicted)
    return Evidence(
        rows=len(y),
        folds=0,
        singles=np.array(alone),
        uniform=plain,
        apparent=apparent,
        apparent_gain=metric.gain(apparent, plain),
    )


def _verdict(choice: Choice) -> Verdict:
    """Say what a choice is worth: nothing where the plain mean is written."""
    gain = choice.corrected
    if not choice.picked or gain.error is None:
        return NO_EVIDENCE
    return "gain" if gain.interval and gain.interval[0] > 0 else "weak"


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
