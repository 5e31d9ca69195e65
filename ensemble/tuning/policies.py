"""A policy made of the frontier: the knee within a budget, its folds and weights, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensemble.errors import UsageError, few
from ensemble.evaluation.bootstrap import spread
from ensemble.predictions.kept_views import Costs, KeptTasks, KeptViews
from ensemble.recipe.policy import FamilyPolicy, FrontierPoint, Policy
from ensemble.tuning.budget import Budget, Spent, folds_for, spent
from ensemble.tuning.frontier import Judge, Point, knee
from ensemble.tuning.market import Chosen, Fitted, Market, bases_of, families_of
from ensemble.tuning.selection import HURTS, Harm, harms
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.weights import NO_EVIDENCE, Weights


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is chosen from: predictions and their costs, as options, and what judges them.

    `steps` are the classes of a kappa from the lowest on; empty for other metrics.
    """

    kept: KeptViews | KeptTasks
    costs: Costs
    market: Market
    judge: Judge
    steps: tuple[int, ...] = ()

    def views(self, chosen: Chosen) -> dict[str, tuple[str, ...]]:
        """Return the views of each family, the plain one first."""
        found: dict[str, tuple[str, ...]] = {}
        bases = bases_of(self.market.options)
        for place in sorted(chosen, key=lambda place: (place not in bases, place)):
            option = self.market.options[place]
            found[option.family] = (*found.get(option.family, ()), option.view)
        return dict(sorted(found.items()))

    def there(self, families: Mapping[str, object]) -> dict[str, int]:
        """Return how many folds there are of families."""
        return {family: len(self.kept.members[family]) for family in families}

    def words(self, chosen: Chosen) -> str:
        """Name options in a message."""
        own = [self.market.options[place] for place in chosen]
        return few([f"{option.family} {option.view}" for option in own])

    def alone(self, chosen: Chosen) -> Spent:
        """Return what options take with one fold of each family."""
        views = self.views(chosen)
        return spent(self.costs, views, dict.fromkeys(views, 1))


def policy_of(found: Found, points: Sequence[Point], budget: Budget) -> Policy:
    """Return the policy of the knee among the points that a budget pays for.

    Raises:
        UsageError: it pays for none; says what the cheapest takes.
    """
    taken = knee(_within(found, points, budget), found.market, found.judge)
    chosen, fitted = _fitted(found.market, found.judge, taken.chosen)
    views, members = found.views(chosen), found.kept.members
    shares = _shares(found.market, chosen, fitted)
    folds = folds_for(found.costs, views, found.there(views), budget, shares)
    families = {
        family: FamilyPolicy(own, dict(sorted(members[family].items())[: folds[family]]))
        for family, own in views.items()
    }
    running = {sha for each in families.values() for sha in each.members.values()}
    every = {sha for held in members.values() for sha in held.values()}
    takes = spent(found.costs, views, folds)
    return Policy(
        families=families,
        weights=_weights(found, families, chosen, fitted, taken),
        left_out=tuple(sorted(every - running)),
        head=found.kept.output,
        evaluations=takes.evaluations,
        seconds=takes.image,
        start=takes.start,
        budget=budget.words,
        verdict=_verdict(found, points[0], taken),
        views=_told(found.market, chosen, harms(found.market)),
        frontier=tuple(_point(found, point, is_knee=point is taken) for point in points),
    )


def _within(found: Found, points: Sequence[Point], budget: Budget) -> list[Point]:
    """Return the points that a budget pays for, with one fold of each family."""
    takes = [found.alone(point.chosen) for point in points]
    fitting = [p for p, each in zip(points, takes, strict=True) if each.fits(budget)]
    if not fitting:
        least = takes[0]
        images = "" if budget.images is None else f", {least.seconds(budget.images):.3g} s in all"
        raise UsageError(
            f"a budget of {budget.words} is below the cheapest choice, "
            f"{found.words(points[0].chosen)} by one fold: {least.evaluations} evaluation, "
            f"{1000 * least.image:.3g} ms an image{images}. Give that or more"
        )
    return fitting


def _fitted(market: Market, judge: Judge, chosen: Chosen) -> tuple[Chosen, Fitted]:
    """Fit the blend on all rows; a family that it gives no weight is not run."""
    while True:
        fitted = market.fit(chosen, judge.metric, judge.pool)
        shares = _shares(market, chosen, fitted)
        kept = tuple(place for place in chosen if shares[market.options[place].family] > 0)
        if kept == chosen or not market.answers(kept):
            return chosen, fitted
        chosen = kept


def _shares(market: Market, chosen: Chosen, fitted: Fitted) -> dict[str, float]:
    """Return the share of each family in the weights, over all that it answers."""
    weights = fitted.blend.weights
    total, found = float(weights.sum()) or 1.0, dict.fromkeys(families_of(market, chosen), 0.0)
    for (_, family), weight in zip(market.columns(chosen), weights.tolist(), strict=True):
        found[family] += weight / total
    return found


def _weights(
    found: Found,
    families: Mapping[str, FamilyPolicy],
    chosen: Chosen,
    fitted: Fitted,
    taken: Point,
) -> Weights:
    kept, blend = found.kept, fitted.blend
    names = [name for name, _ in found.market.columns(chosen)]
    rule, joint = blend.decision, None
    if isinstance(kept, KeptTasks):
        logs = () if blend.dependence is None else tuple(blend.dependence.tolist())
        joint = JointWeights(kept.label_map, fitted.spreads, logs, blend.rho)
    return Weights(
        families=dict(zip(names, blend.weights.tolist(), strict=True)),
        pool=blend.pool,
        temperature=blend.temperature,
        decision=replace(rule, order=found.steps) if rule.cut_points else rule,
        classes=kept.classes,
        members={name: tuple(each.members.values()) for name, each in families.items()},
        metric=found.judge.metric.name,
        task=kept.task,
        views={name: each.merged for name, each in families.items()},
        evidence={
            "n": len(kept.ids),
            "folds": len(np.unique(kept.folds)),
            "nested": taken.score,
            "verdict": "gain",
        },
        joint=joint,
    )


def _verdict(found: Found, first: Point, taken: Point) -> str:
    """Say what the choice gains over the cheapest point, on rows that it did not see."""
    judge = found.judge
    if taken is first:
        return f"{NO_EVIDENCE} that more than {found.words(taken.chosen)} gains a standard error"
    gain = spread(judge.metric, found.market.y, [taken.nested, first.nested], judge.groups)
    error = "" if gain.error is None else f", standard error {gain.error:.5f}"
    return f"gain {gain.value:+.5f} over {found.words(first.chosen)}{error}"


def _told(market: Market, chosen: Chosen, found: Sequence[Harm]) -> dict[str, str]:
    """Say of each family's views what out-of-fold rows say of them, by "family view"."""
    bought = {market.options[place] for place in chosen}
    told = {}
    for harm in found:
        if harm.hurts:
            what = "hurts"
        elif harm.option in bought:
            what = "runs"
        else:
            what = "not worth its time" if harm.loss < -HURTS * harm.error else NO_EVIDENCE
        change = f"loss {harm.loss:+.5f} beside the family's first view"
        told[f"{harm.option.family} {harm.option.view}"] = f"{what}: {change}"
    return told


def _point(found: Found, point: Point, *, is_knee: bool) -> FrontierPoint:
    """Return a point as policy.json has it: its costs are those of every fold."""
    views = found.views(point.chosen)
    takes = spent(found.costs, views, found.there(views))
    return FrontierPoint(
        views, takes.evaluations, takes.image, point.score, point.interval, is_knee
    )
