"""A picture of how a value becomes the classes of its task: the cuts, and the error learned."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.voting.lift import value_probs
from ensemble.voting.weights import Weights

_POINTS: Final = 400
_BEYOND: Final = 4
"""So many spreads, beyond the outermost cuts, are shown."""


def draw_spread(axes: Axes, weights: Weights, column: str) -> None:
    """Draw how likely each class is of each value that a column may give.

    Args:
        axes: Where to draw.
        weights: Weights of several tasks.
        column: The column of values: the family's name, or family/task.
    """
    joint = weights.joint
    task = None if joint is None else _task_of(column, joint.label_map)
    if joint is None or task is None:
        return
    spread = joint.spreads[column]
    low, high = task.cuts[0] - _BEYOND * spread, task.cuts[-1] + _BEYOND * spread
    values = np.linspace(low, high, _POINTS)
    shares = value_probs(values, task.cuts, spread)
    for name, share in zip(task.classes, shares.T, strict=True):
        axes.plot(values, share, label=name)
    for cut in task.cuts:
        axes.axvline(cut, color="#6b6b6b", linewidth=1, linestyle=":")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(f"value of {column}", parse_math=False)
    axes.set_title(f"classes of {task.name}, by a spread of {spread:.3g}", parse_math=False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)


def _task_of(column: str, label_map: LabelMap) -> LabelTask | None:
    """Return the task of values that a column answers: the one it names, or the only one cut."""
    named = label_map.task(column.rpartition("/")[2])
    if named is not None and named.cuts:
        return named
    cut = [task for task in label_map.tasks if task.cuts]
    return cut[0] if len(cut) == 1 else None
