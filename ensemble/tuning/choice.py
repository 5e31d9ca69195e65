"""Which blend to write, and a gain that has paid for the choice.

The candidate with the best nested score is taken if it gains more than half a standard error over
the plain mean; within a quarter of one, a simpler one is. The score of what was chosen is too good
to be true, since it was chosen for it. So the choice is made again on rows drawn with replacement,
and scored on those that were not drawn (BBC-CV; Tsamardinos, Greasidou and Borboudakis 2018).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.evaluation.bootstrap import LEAST_DEFINED, Spread, draw_scores, turned
from ensemble.evaluation.metrics import Metric, Truth
from ensemble.evaluation.seen import Seen
from ensemble.tuning.candidates import Candidate
from ensemble.voting.weights import Write

WORTH: Final = 0.5
"""How many standard errors a blend must gain over the plain mean to be written."""

ALIKE: Final = 0.25
"""Within how many standard errors of the best a simpler blend is preferred."""

_LEVELS: Final = (2.5, 97.5)

Pick: TypeAlias = Callable[[Vector, Pooled], int]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the nested predictions of K candidates say, of which the first is the plain mean.

    `gains` (K,) are over the plain mean, upward; `errors` (K,) their standard errors. `picked` is
    the one to write. `best` is the one with the best gain beside the plain mean, which is told of
    where the plain mean is written. `corrected` is the gain to expect of choosing so.
    """

    scores: Vector
    gains: Vector
    errors: Vector
    picked: int
    best: int
    corrected: Spread


def choose(
    nested: Sequence[Seen],
    candidates: Sequence[Candidate],
    y: Truth,
    metric: Metric,
    *,
    groups: Indices | None = None,
    write: Write = "auto",
) -> Choice:
    """Choose among K nested predictions, by what the metric sees of them; the first is the mean's.

    Where the metric is defined on too few draws, nothing is known, and the plain mean is picked.
    """
    draws = draw_scores(metric, y, nested, groups)
    scores = np.array([each.score(metric, y) for each in nested])
    sign = 1 if metric.greater else -1
    gains, drawn = sign * (scores - scores[0]), sign * (draws.drawn - draws.drawn[:, :1])
    left = sign * (draws.left - draws.left[:, :1])
    pick, known = _picking(candidates, write), len(drawn) >= LEAST_DEFINED
    errors = np.zeros((len(nested), len(nested)))
    if known:
        errors = np.array([np.std(drawn - drawn[:, [k]], axis=0) for k in range(len(nested))])
    picked = pick(gains, errors) if known or write != "auto" else 0
    chosen = np.array([pick(each, errors) for each in drawn], np.int64)
    seen = np.flatnonzero(np.isfinite(left).all(1))
    return Choice(
        scores,
        gains,
        errors[0],
        picked,
        picked or _picking(candidates, "tuned")(gains, errors),
        _corrected(
            float(gains[picked]),
            float(errors[0, picked]),
            left[seen, chosen[seen]],
            left[seen, picked],
            rare=draws.rare,
        ),
    )


def _corrected(gain: float, error: float, found: Vector, own: Vector, *, rare: bool) -> Spread:
    """Return the gain of choosing: its mean on rows that the choice did not see.

    The interval holds what the gains of the choice, `found` (D,), spread over, and what those of
    the blend chosen, `own` (D,), do: draws that mostly choose the plain mean, which gains nothing,
    would make it too narrow for another.
    """
    if len(found) < LEAST_DEFINED:
        return Spread(gain, None, error or None, None)
    value = float(found.mean())
    if rare:
        return Spread(value, None, error, None)
    ends = np.percentile(found, _LEVELS), np.percentile(own, _LEVELS) - own.mean() + value
    low, high = min(each[0] for each in ends), max(each[1] for each in ends)
    return Spread(value, (float(low), float(high)), error, turned(found))


def _picking(candidates: Sequence[Candidate], write: Write) -> Pick:
    """Return how one is picked by the gains (K,) over the first and the errors of all pairs."""
    guarded = [k for k, each in enumerate(candidates) if each.guarded]
    among = [k for k, each in enumerate(candidates) if not each.guarded and _may(each, write)]
    if write in ("mean", "best"):
        return lambda gains, _: max(among, key=lambda k: gains[k])
    sure = write == "tuned"

    def pick(gains: Vector, errors: Pooled) -> int:
        worth = (gains > WORTH * errors[:, 0]) | sure
        found = _simplest(among, gains, errors[:, 0], worth)
        for k in guarded if found else ():
            if gains[k] - gains[found] > errors[k, found]:
                found = k
        return found

    return pick


def _may(candidate: Candidate, write: Write) -> bool:
    """Tell whether a candidate may be written."""
    if write == "tuned":
        return candidate.name not in ("mean", "best")
    if write == "mean":
        return candidate.name == "mean" and not candidate.rule
    return write in ("auto", candidate.name)


def _simplest(among: Sequence[int], gains: Vector, errors: Vector, worth: NDArray[np.bool_]) -> int:
    """Return the simplest of those worth writing, (K,), that is alike to the best; 0 if none is."""
    top = max(among, key=lambda k: gains[k])
    if not worth[top]:
        return 0
    enough = gains[top] - ALIKE * errors[top]
    return next(k for k in among if gains[k] >= enough and worth[k])
