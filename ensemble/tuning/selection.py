"""Which (family, view) to evaluate: bought one by one, by what each gains for a second.

Out of fold a row is predicted by one member of each family under each view. The views of a family
are averaged, families are pooled and calibrated by likelihood, and what is bought is what lowers
the loss most for its cost (a greedy search, as Caruana et al. 2004 and Lyzhov et al. 2020 have it
for ensembles and for views). Nothing here draws a random number, and no result depends on the
order of families or views: they come sorted by name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Vector
from ensemble.tuning.market import Chosen, Market, Option, bases_of, cost_of

_AS_DEAR: Final = 1.1
"""Costs within this factor of each other are alike, as far as they can be measured."""

WORTH: Final = 1.0
"""How many standard errors a change must gain to be made."""

LEAST: Final = 1e-3
"""The least share of the loss that is worth an evaluation."""

HURTS: Final = 2.0
"""By how many standard errors a view must raise its family's loss to be called harmful, and lower
it to take the place of another."""

ROWS: Final = 10_000
"""Rows that changes are judged on, spread over all of them: more rows change no choice."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What a view does beside its family's first: the loss that it adds, and its standard error."""

    option: Option
    loss: float
    error: float

    @property
    def hurts(self) -> bool:
        """Whether it raises the loss beyond doubt."""
        return self.loss > HURTS * self.error


def harms(market: Market) -> list[Harm]:
    """Return what each view that is not its family's first does to the family alone."""
    market, found = _thinned(market), []
    for base in bases_of(market.options):
        alone = market.own_losses((base,))
        for place, option in enumerate(market.options):
            if place != base and option.family == market.options[base].family:
                added = market.own_losses(_with((base,), place)) - alone
                found.append(Harm(option, float(added.mean()), _error(added)))
    return found


def path(market: Market) -> list[Chosen]:
    """Return ever dearer choices: each is what the search would buy for its cost.

    From the single families that are cheaper than the best, and the best, on; then one option
    after the other, the one that gains most for a second. After each, a view may be replaced by
    another of its family, and what no longer helps is sold. It ends where nothing gains more than
    a standard error. Views that hurt their family are never bought.
    """
    judged = _thinned(market)
    hurting = {harm.option for harm in harms(market) if harm.hurts}
    allowed = [p for p, option in enumerate(market.options) if option not in hurting]
    found = _begun(judged)
    current = found[-1]
    loss = judged.losses(current)
    while (bought := _bought(judged, allowed, current, loss)) is not None:
        current, loss = _improved(judged, allowed, *bought)
        found.append(current)
    return _ascending(judged, found)


def _thinned(market: Market) -> Market:
    step = -(-len(market.y) // ROWS)
    return market.among(slice(None, None, step))


def _begun(market: Market) -> list[Chosen]:
    """Return what to begin with, by cost, as far as each dearer one is better; the best is last."""
    scored = [(float(market.losses(p).mean()), cost_of(market, p), p) for p in market.starts()]
    found: list[Chosen] = []
    least = np.inf
    for loss, _, chosen in sorted(scored, key=lambda each: (each[1], each[0], each[2])):
        if loss < least:
            found, least = [*found, chosen], loss
    return found


def _bought(
    market: Market, allowed: Sequence[int], chosen: Chosen, loss: Vector
) -> tuple[Chosen, Vector] | None:
    """Return the choice with what gains most for a second; None where nothing is worth it."""
    best: tuple[float, Chosen, Vector] | None = None
    for place in allowed:
        if place in chosen:
            continue
        more = _with(chosen, place)
        after = market.losses(more)
        rate = float((loss - after).mean()) / market.options[place].seconds
        if _is_worth(loss, after) and (best is None or rate > best[0]):
            best = rate, more, after
    return None if best is None else best[1:]


def _improved(
    market: Market, allowed: Sequence[int], chosen: Chosen, loss: Vector
) -> tuple[Chosen, Vector]:
    """Swap views within families, and sell what no longer helps, while either lowers the loss."""
    for more in _swaps(market, allowed, chosen):
        after = market.losses(more)
        if _is_worth(loss, after, HURTS):
            return _improved(market, allowed, more, after)
    for place in chosen:
        less = tuple(each for each in chosen if each != place)
        if not market.answers(less):
            continue
        after = market.losses(less)
        if float(after.mean()) <= float(loss.mean()):
            return _improved(market, allowed, less, after)
    return chosen, loss


def _swaps(market: Market, allowed: Sequence[int], chosen: Chosen) -> Iterator[Chosen]:
    """Yield the choices with one view replaced by another of its family that costs as much."""
    for old in chosen:
        was = market.options[old]
        for new in allowed:
            option = market.options[new]
            as_dear = option.seconds <= _AS_DEAR * was.seconds
            if new not in chosen and option.family == was.family and as_dear:
                yield _with(tuple(each for each in chosen if each != old), new)


def _ascending(market: Market, found: Sequence[Chosen]) -> list[Chosen]:
    """Return the choices by cost, without those that a later one replaced at no higher cost."""
    kept: list[Chosen] = []
    for chosen in reversed(found):
        if not kept or cost_of(market, chosen) < cost_of(market, kept[-1]):
            kept.append(chosen)
    return kept[::-1]


def _with(chosen: Chosen, place: int) -> Chosen:
    return tuple(sorted((*chosen, place)))


def _is_worth(before: Vector, after: Vector, errors: float = WORTH) -> bool:
    """Tell whether a change lowers the loss by more than chance, and by enough to matter."""
    gains = before - after
    gain = float(gains.mean())
    return gain > errors * _error(gains) and gain > LEAST * float(before.mean())


def _error(values: Vector) -> float:
    return float(values.std() / np.sqrt(len(values)))
