"""A chart of values against the truth: dots, or of many rows how densely they lie."""

from typing import Final

import numpy as np

from ensemble.arrays import Vector
from ensemble.reports.page.axes import Axes, chart, spread_over
from ensemble.reports.page.svg import Scale, bar, dot, line, scale_of, shade

_SIDE: Final = 420
_DOTS: Final = 600
"""Of more rows dots would hide one another."""

_CELLS: Final = 48
_BARS: Final = 25


def values_chart(truth: Vector, given: Vector, about: str) -> str:
    """Draw what is predicted, (N,), against the truth, (N,): right is what lies on the line."""
    (left, right), (low, high) = spread_over(_SIDE, _SIDE)
    whole = scale_of([*truth.tolist(), *given.tolist()], 0, 1)
    axes = Axes(Scale(whole.low, whole.high, left, right), Scale(whole.low, whole.high, low, high),
                "truth", "predicted")  # fmt: skip
    parts = [line(left, low, right, high, "ideal")]
    if len(truth) <= _DOTS:
        pairs = zip(truth.tolist(), given.tolist(), strict=True)
        parts += [dot(axes.across(t), axes.up(g), "point", 3) for t, g in pairs]
    else:
        parts += _dense(axes, truth, given)
    return chart(axes, about, parts, _SIDE)


def residual_chart(away: Vector, about: str) -> str:
    """Draw how many rows are off by how much, (N,), signed."""
    across, up = spread_over(height=240)
    reach = float(np.abs(away).max(initial=0.0)) or 1.0
    counts, edges = np.histogram(away, _BARS, (-reach, reach))
    axes = Axes(Scale(-reach, reach, *across), Scale(0, float(counts.max()) or 1.0, *up),
                "predicted less truth", "rows")  # fmt: skip
    parts = []
    for count, low, high in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        x, y = axes.across(float(low)), axes.up(count)
        parts.append(bar(x + 0.5, y, axes.across(float(high)) - x - 1, up[0] - y,
                         f"{count} rows from {low:.4g} to {high:.4g}"))  # fmt: skip
    parts.append(line(axes.across(0), up[0], axes.across(0), up[1], "zero"))
    return chart(axes, about, parts)


def bar_chart(counts: dict[int, int], across_name: str, about: str) -> str:
    """Draw how many rows have each whole number, from 1 to the largest."""
    across, up = spread_over(height=220)
    most = max(counts)
    axes = Axes(Scale(0.5, most + 0.5, *across), Scale(0, max(counts.values()), *up),
                across_name, "images")  # fmt: skip
    width = axes.across(1.5) - axes.across(0.5)
    parts = []
    for number, count in sorted(counts.items()):
        x, y = axes.across(number - 0.5), axes.up(count)
        told = f"{count} at {number}"
        parts.append(bar(x + 0.1 * width, y, 0.8 * width, up[0] - y, told))
    return chart(axes, about, parts)


def _dense(axes: Axes, truth: Vector, given: Vector) -> list[str]:
    """Shade cells by how many rows lie there, on a square-root scale that shows single ones."""
    ends = (axes.across.low, axes.across.high)
    counts, _, _ = np.histogram2d(truth, given, _CELLS, (ends, ends))
    side = (axes.across.end - axes.across.start) / _CELLS
    found = []
    for column, row in np.argwhere(counts > 0).tolist():
        share = 0.15 + 0.85 * float(np.sqrt(counts[column, row] / counts.max()))
        x, y = axes.across.start + column * side, axes.up.start - (row + 1) * side
        found.append(shade(x, y, side, side, share))
    return found
