"""A policy on a page: the frontier, what runs, and what each view is worth."""

from ensemble.recipe.policy import FrontierPoint, Policy
from ensemble.reports.page.blocks import (
    Block,
    Cell,
    Chart,
    Fact,
    Facts,
    Note,
    Table,
    count_cell,
    interval_cell,
    name_cell,
    score_cell,
    shown_name,
)
from ensemble.reports.page.curves import frontier_chart
from ensemble.reports.page.scores import metric_words

_MILLI = 1000


def policy_blocks(policy: Policy) -> list[Block]:
    """Return what a policy is worth, its frontier, and what runs of each family."""
    facts = Facts((
        Fact("ms an image", ms_cell(policy.seconds), f"budget {policy.budget or 'none'}"),
        Fact("evaluations an image", count_cell(policy.evaluations)),
        Fact("head", Cell(shown_name(policy.head))),
    ))  # fmt: skip
    rows = tuple(
        (name_cell(name), Cell(", ".join(each.views)),
         Cell(", ".join(map(str, sorted(each.members)))), Cell(policy.weights_of(name)))
        for name, each in sorted(policy.families.items())
    )  # fmt: skip
    runs = Table("What runs", ("family", "views", "folds", "weight"), rows)
    return [facts, Note(policy.verdict), *_frontier(policy), runs, *_views(policy)]


def _frontier(policy: Policy) -> list[Block]:
    if not policy.frontier:
        return []
    metric = policy.weights.metric
    about = f"The frontier: {metric_words(metric)} against what an image costs"
    caption = f"{about}; each line is a 95 % interval, the filled dot is what was chosen."
    rows = tuple(map(_point, policy.frontier))
    header = ("views", "evaluations", "ms an image", metric, "95 % interval", "")
    return [Chart(frontier_chart(policy.frontier, metric, about), caption),
            Table("The points of the frontier", header, rows)]  # fmt: skip


def _point(point: FrontierPoint) -> tuple[Cell, ...]:
    views = "; ".join(f"{name}: {', '.join(own)}" for name, own in point.views.items())
    return (Cell(shown_name(views, 120), tone="label"), count_cell(point.evaluations),
            ms_cell(point.seconds), score_cell(point.score, 5), interval_cell(point.interval, 5),
            Cell("chosen" if point.knee else ""))  # fmt: skip


def _views(policy: Policy) -> list[Block]:
    rows = tuple((name_cell(view), Cell(told)) for view, told in policy.views.items())
    return [Table("What each view is worth", ("view", "out of fold"), rows)] if rows else []


def ms_cell(seconds: float) -> Cell:
    """Return seconds as milliseconds."""
    return Cell(f"{_MILLI * seconds:.3f}", repr(seconds))
