"""Charts of one thing against another: reliability, and the frontier of a policy."""

from collections.abc import Sequence
from typing import Final

from ensemble.evaluation.reliability import FEW, ReliabilityBin
from ensemble.recipe.policy import FrontierPoint
from ensemble.reports.page.axes import Axes, chart, spread_over
from ensemble.reports.page.svg import Scale, dot, line, path, scale_of

_SIDE: Final = 400
_MILLI: Final = 1000


def reliability_chart(bins: Sequence[ReliabilityBin], about: str) -> str:
    """Draw how often each bin is right against its confidence; small bins are grey."""
    (left, right), (low, high) = spread_over(_SIDE, _SIDE)
    least = min(min(each.confidence, each.interval[0]) for each in bins)
    start = max(0.0, round(least - 0.05, 1))
    axes = Axes(Scale(start, 1, left, right), Scale(start, 1, low, high),
                "mean confidence", "share that is right")  # fmt: skip
    parts = [line(left, low, right, high, "ideal")]
    for each in bins:
        faint = " faint" if each.rows < FEW else ""
        x = axes.across(each.confidence)
        ends = [axes.up(end) for end in each.interval]
        told = f"{each.rows} rows: {each.right:.4f} right at confidence {each.confidence:.4f}"
        parts += [line(x, *(ends[0], x, ends[1]), f"interval{faint}"),
                  dot(x, axes.up(each.right), f"dot ours{faint}", about=told)]  # fmt: skip
    return chart(axes, about, parts, _SIDE)


def frontier_chart(points: Sequence[FrontierPoint], metric: str, about: str) -> str:
    """Draw the nested score of each point against what an image costs; the knee is filled."""
    across, up = spread_over()
    scores = [end for point in points for end in (point.score, *(point.interval or ()))]
    costs = [_MILLI * point.seconds for point in points]
    axes = Axes(scale_of([0.0, *costs], *across), scale_of(scores, *up),
                "ms an image, every fold", f"{metric}, nested")  # fmt: skip
    places = [(axes.across(cost), axes.up(point.score))
              for cost, point in zip(costs, points, strict=True)]  # fmt: skip
    parts = [path(places, "curve")]
    for (x, y), point in zip(places, points, strict=True):
        if point.interval is not None:
            parts.append(line(x, axes.up(point.interval[0]), x, axes.up(point.interval[1]),
                              "interval"))  # fmt: skip
        told = f"{point.evaluations} evaluations: {point.score:.5f}"
        kind = "dot ours" if point.knee else "dot"
        parts.append(dot(x, y, kind, 7 if point.knee else 4.5, told))
    return chart(axes, about, parts)
