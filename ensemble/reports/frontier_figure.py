"""The frontier of a policy: what an image costs against the nested score, the knee marked."""

from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from ensemble.files.atomic import publish
from ensemble.recipe.policy import FrontierPoint, Policy

_OURS: Final = "#1f6fb2"
_PLAIN: Final = "#b9c4ce"
_MILLI: Final = 1000


def draw_frontier(policy: Policy, path: Path) -> None:
    """Draw the points of a policy's frontier as a PNG, each with its 95 % interval.

    Raises:
        StoreError: the disk refused.
    """
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots()
    costs = [_MILLI * point.seconds for point in policy.frontier]
    scores = [point.score for point in policy.frontier]
    axes.plot(costs, scores, color=_PLAIN, linewidth=1, zorder=0)
    for cost, point in zip(costs, policy.frontier, strict=True):
        if point.interval is not None:
            axes.plot([cost, cost], point.interval, color=_PLAIN, linewidth=4, zorder=1)
        axes.plot(cost, point.score, "D" if point.knee else "o", color=_OURS, zorder=2)
        axes.annotate(_told(point), (cost, point.score), (6, -4), textcoords="offset points",
                      fontsize=7, va="top", parse_math=False)  # fmt: skip
    axes.set_xlabel("ms an image, every fold")
    axes.set_ylabel(f"{policy.weights.metric}, nested, one fold a family")
    budget = f" within {policy.budget}" if policy.budget else ""
    axes.set_title(f"what more evaluations are worth; the diamond is chosen{budget}")
    axes.margins(x=0.25, y=0.15)
    axes.grid(color=_PLAIN, linewidth=0.4)
    publish(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))


def _told(point: FrontierPoint) -> str:
    """Name what runs, a line a family."""
    return "\n".join(f"{family}: {', '.join(views)}" for family, views in point.views.items())
