"""What tuning found, as a picture: scores, weights, and the nested gain with its interval."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ensemble.files import publish
from ensemble.weights import Weights

_OURS, _PLAIN, _SINGLE = "#1f6fb2", "#6b6b6b", "#b9c4ce"


def draw(weights: Weights, path: Path) -> None:
    """Draw the evidence of tuned weights as a PNG.

    Raises:
        StoreError: the disk refused.
    """
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(3, 2, 2))
    _scores(left, weights)
    _weights(middle, weights)
    _gain(right, weights)
    publish(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))


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
    axes.set_title(f"out-of-fold {weights.metric}, {better} is better")
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
        low, high = seen["gain_ci95"]
        axes.errorbar(
            0,
            seen["gain"],
            [[seen["gain"] - low], [high - seen["gain"]]],
            fmt="o",
            color=_OURS,
            capsize=6,
        )
        labels = ["nested,\n95 % interval", "apparent,\noptimistic"]
    axes.set_xticks(range(2 - len(labels), 2), labels)
    axes.set_xlim(-0.6, 1.6)
