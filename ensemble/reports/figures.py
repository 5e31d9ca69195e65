"""Pictures: what tuning found, and what a submission scores."""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ensemble.files.atomic import publish
from ensemble.reports.scorecard import Scorecard
from ensemble.reports.spread_figure import draw_spread
from ensemble.voting.weights import Weights

_OURS, _PLAIN, _SINGLE = "#1f6fb2", "#6b6b6b", "#b9c4ce"
_COUNTED: Final = 30
"""With more classes, a count does not fit into its cell."""

_NAMED: Final = 120
_LONGEST: Final = 24
_CONFUSED: Final = 12


def draw(weights: Weights, path: Path) -> None:
    """Draw the evidence of tuned weights as a PNG, and how values of tasks become classes.

    Raises:
        StoreError: the disk refused.
    """
    spreads = weights.joint.spreads if weights.joint else {}
    figure = Figure(figsize=(11, 3.6 + 2.4 * len(spreads)), layout="constrained")
    grid = figure.add_gridspec(
        1 + len(spreads), 3, width_ratios=(3, 2, 2), height_ratios=[3.6, *[2.4] * len(spreads)]
    )
    left, middle, right = (figure.add_subplot(grid[0, place]) for place in range(3))
    for row, name in enumerate(spreads, 1):
        draw_spread(figure.add_subplot(grid[row, :]), weights, name)
    _scores(left, weights)
    _weights(middle, weights)
    _gain(right, weights)
    publish(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))


def draw_scores(card: Scorecard, path: Path) -> None:
    """Draw a submission's confusion, its scores, its commonest errors and its worst classes.

    Colours are shares of the truth's rows, on a square-root scale that shows rare errors too.

    Raises:
        StoreError: the disk refused.
    """
    side = min(max(0.55 * len(card.classes), 5.0), 16.0)
    figure = Figure(figsize=(side + 6, side), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(side, 5))
    _confusion(figure.add_subplot(grid[:, 0]), card)
    _intervals(figure.add_subplot(grid[0, 1]), card)
    _errors(figure.add_subplot(grid[1, 1]), card)
    _classes(figure.add_subplot(grid[2, 1]), card)
    publish(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))


def _confusion(axes: Axes, card: Scorecard) -> None:
    size = len(card.classes)
    shares = card.counts / np.maximum(card.counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    axes.set_title(f"{card.rows} rows, coloured by share of the truth")
    axes.set_xlabel("predicted as")
    axes.set_ylabel("truth")
    step = -(-size // _NAMED)
    names = [_short(name) for name in card.classes[::step]]
    font = 9 if size <= _COUNTED else 6
    places = range(0, size, step)
    axes.set_xticks(places, names, rotation=90, fontsize=font, parse_math=False)
    axes.set_yticks(places, names, fontsize=font, parse_math=False)
    for row, column in np.argwhere(card.counts > 0) if size <= _COUNTED else ():
        colour = "white" if shares[row, column] > 0.4 else "black"
        axes.text(column, row, f"{card.counts[row, column]:.0f}", ha="center", va="center",
                  fontsize=8, color=colour)  # fmt: skip


def _intervals(axes: Axes, card: Scorecard) -> None:
    lines = card.lines[::-1]
    for row, line in enumerate(lines):
        text = f"{line.score:.4f}"
        if line.interval is not None:
            axes.plot(line.interval, [row, row], color=_SINGLE, linewidth=4)
            text += "  [{:.4f}, {:.4f}]".format(*line.interval)
        axes.plot(line.score, row, "o", color=_OURS)
        axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center",
                      fontsize=8)  # fmt: skip
    axes.set_yticks(range(len(lines)), [line.metric for line in lines])
    axes.set_ylim(-0.7, len(lines) - 0.3)
    axes.grid(axis="x", color=_SINGLE, linewidth=0.5)
    axes.set_title("scores, 95 % intervals")


def _errors(axes: Axes, card: Scorecard) -> None:
    wrong = card.counts * (1 - np.eye(len(card.classes)))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSED]
    pairs = [divmod(int(cell), len(card.classes)) for cell in order if wrong.flat[cell] > 0][::-1]
    names = [f"{_short(card.classes[t])} as {_short(card.classes[p])}" for t, p in pairs]
    bars = axes.barh(range(len(pairs)), [wrong[pair] for pair in pairs], color=_OURS)
    axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=2)
    axes.set_yticks(range(len(pairs)), names, fontsize=8, parse_math=False)
    axes.set_title("commonest errors" if pairs else "no errors")


def _classes(axes: Axes, card: Scorecard) -> None:
    """Draw F1, precision and recall of the classes that fare worst."""
    worst = sorted(card.by_class, key=lambda each: each.f1)[:_CONFUSED][::-1]
    places = range(len(worst))
    axes.barh(places, [each.f1 for each in worst], color=_SINGLE)
    axes.plot([each.precision for each in worst], places, "|", color=_OURS, label="precision")
    axes.plot([each.recall for each in worst], places, "o", color=_OURS, label="recall", ms=4)
    names = [f"{_short(each.name)} ({each.support})" for each in worst]
    axes.set_yticks(places, names, fontsize=8, parse_math=False)
    axes.set_xlim(0, 1.02)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2)
    axes.set_title("lowest F1, and rows of the truth")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _scores(axes: Axes, weights: Weights) -> None:
    seen = weights.evidence
    rows = [(name, score, _SINGLE) for name, score in sorted(seen["singles"].items())]
    rows.append(("uniform", seen["uniform"], _PLAIN))
    nested = seen["nested"]
    tuned = ("tuned, apparent", seen["apparent"]) if nested is None else ("tuned, nested", nested)
    rows.append((*tuned, _OURS))
    names, values, colours = zip(*reversed(rows), strict=True)
    axes.scatter(values, names, color=colours, s=60, zorder=2)
    axes.margins(x=0.2, y=0.1)
    axes.grid(axis="y", color=_SINGLE, linewidth=0.5)
    upward = (seen["apparent"] - seen["uniform"]) * seen["apparent_gain"] >= 0
    better = "more" if upward else "less"
    own = ", each column on its own task" if weights.joint else ""
    axes.set_title(f"out-of-fold {weights.metric}, {better} is better{own}")
    for row, value in enumerate(values):
        axes.annotate(f"{value:.4f}", (value, row), (8, 0), textcoords="offset points",
                      va="center", fontsize=8)  # fmt: skip


def _weights(axes: Axes, weights: Weights) -> None:
    names = sorted(weights.families, reverse=True)
    axes.barh(names, [weights.families[name] for name in names], color=_OURS)
    axes.set_title("exponents" if weights.pool == "log-linear" else "weights")


def _gain(axes: Axes, weights: Weights) -> None:
    seen = weights.evidence
    axes.axhline(0, color=_PLAIN, linewidth=1)
    axes.set_title(f"verdict: {seen['verdict']}")
    axes.set_ylabel("gain over uniform")
    axes.plot(1, seen["apparent_gain"], "o", color=_SINGLE)
    labels = ["apparent"]
    if seen["gain"] is not None:
        gain, interval = seen["gain"], seen["gain_ci95"]
        low, high = interval or (gain, gain)
        error = [[gain - low], [high - gain]] if interval else None
        axes.errorbar(0, gain, error, fmt="o", color=_OURS, capsize=6)
        labels = ["chosen,\n95 % interval" if interval else "chosen", "apparent,\noptimistic"]
    axes.set_xticks(range(2 - len(labels), 2), labels)
    axes.set_xlim(-0.6, 1.6)
