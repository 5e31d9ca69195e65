"""The order of the evaluations, and what is left after each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Vector
from ensemble.errors import UsageError

_TIED: Final = 1.5
_ALIKE: Final = 8
_KNOWN: Final = 1e-6
"""A share of the other costs, below which an evaluation is one that is known already."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One member under one view (or all its views): whose it is, what it costs and weighs.

    `view` is the place of the view in the policy, 0 first. `cost` is measured, in any unit.
    """

    member: str
    family: str
    view: int
    weight: float
    cost: float = 1.0


def ordered(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations in the order to make them, leaving out those of weight 0.

    Weight per cost, descending: the heaviest decide soonest. Costs up to eight times the least
    count as alike, and above that an eighth of them: families that take turns decide sooner than
    the cheap one, fold by fold, whose errors are alike. Values within a factor of 1.5 of the
    largest that is left count as tied. Among the tied, first views come before second ones,
    families take turns, and then the name decides. What costs next to nothing, being known already,
    comes first.

    Raises:
        UsageError: a weight or a cost that cannot be, or no weight above 0.
    """
    shares([e.weight for e in evaluations])
    wrong = [e.member for e in evaluations if not 0 < e.cost < math.inf]
    if wrong:
        raise UsageError(f"the cost of an evaluation must be above 0; it is not for {wrong[:5]}")
    left = _by_value([e for e in evaluations if e.weight > 0])
    found: list[Evaluation] = []
    while left:
        tied = [e for value, e in left if value >= left[0][0] / _TIED]
        found += _interleaved(tied)
        left = left[len(tied) :]
    return found


def _by_value(evaluations: Sequence[Evaluation]) -> list[tuple[float, Evaluation]]:
    """Return evaluations behind their weight per cost, which falls."""
    dearest = max(e.cost for e in evaluations)
    least = min(e.cost for e in evaluations if e.cost > _KNOWN * dearest)
    pairs = [(e.weight / _relative(e.cost / least), e) for e in evaluations]
    return sorted(pairs, key=lambda pair: -pair[0])


def shares(weights: Sequence[float]) -> Vector:
    """Return weights (K,) divided by their sum.

    Raises:
        UsageError: a weight below 0 or not finite, or none above 0.
    """
    found = np.array(weights, np.float64)
    if not len(found) or not np.isfinite(found).all() or (found < 0).any() or found.sum() <= 0:
        raise UsageError(
            f"weights of evaluations must be finite, at least 0, and not all 0; found "
            f"{list(weights)[:10]}"
        )
    return np.asarray(found / found.sum(), np.float64)


def spent(weights: Vector) -> Vector:
    """Return the weight done after 0, 1, … K evaluations, (K + 1,); the last is exactly 1."""
    done = np.concatenate([[0.0], np.cumsum(weights)])
    done[-1] = 1.0
    return done


def bridges(weights: Vector) -> Vector:
    """Return b_k for k = 0 … K, (K + 1,): how far the mean may still move, up to a factor.

    Were the evaluations exchangeable, the final mean would differ from the mean over the first k
    by an error whose standard deviation is proportional to
    b_k = sqrt(Σ_rest w² + (W_rest / W_done)² Σ_done w²). b_0 is infinite, b_K is 0.
    """
    done = spent(weights)[1:-1]
    squares = np.cumsum(weights**2)
    rest = np.maximum(squares[-1] - squares[:-1], 0)
    inner = np.sqrt(rest + ((1 - done) / done) ** 2 * squares[:-1])
    return np.concatenate([[np.inf], inner, [0.0]])


def evaluations_of(
    voters: Sequence[tuple[str, str]],
    weights: Mapping[str, float],
    costs: Mapping[str, float],
    views: int = 1,
) -> list[Evaluation]:
    """Return the evaluations of members in the order to make them.

    Args:
        voters: Name and family of each member.
        weights: Each family's weight, by name; its members and views share it evenly.
        costs: What one evaluation of each member costs, by name, in any unit.
        views: How many views are evaluated one by one; 1 where a member takes all its views.

    Raises:
        UsageError: a weight or a cost that cannot be.
    """
    families = [family for _, family in voters]
    parts = {family: families.count(family) * views for family in families}
    return ordered(
        [
            Evaluation(name, family, view, weights[family] / parts[family], costs[name])
            for name, family in voters
            for view in range(views)
        ]
    )


def _relative(cost: float) -> float:
    """Return what a cost, as a multiple of the least, counts for."""
    return max(cost / _ALIKE, 1.0) if cost > _KNOWN else cost


def _interleaved(tied: Sequence[Evaluation]) -> list[Evaluation]:
    """Sort by view, then by place within the family, then by family and name."""
    by_name = sorted(tied, key=lambda e: (e.view, e.family, e.member))
    place: dict[tuple[int, str], int] = {}
    keyed = []
    for each in by_name:
        turn = place.get((each.view, each.family), 0)
        place[each.view, each.family] = turn + 1
        keyed.append(((each.view, turn, each.family, each.member), each))
    return [each for _, each in sorted(keyed, key=lambda pair: pair[0])]
