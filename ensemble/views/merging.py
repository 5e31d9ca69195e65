"""Views of an image made one by the rules of the graph, from probabilities that were kept apart."""

from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pooled
from ensemble.errors import UsageError
from ensemble.records import TASKS, Merge, Task

_TINY: Final = 1e-38


def check_mergeable(merge: Merge) -> None:
    """Refuse a rule that needs what a member gives before its activation, which is not kept.

    Raises:
        UsageError: it is such a rule; names another.
    """
    if merge == "logits":
        raise UsageError(
            "--merge logits needs what members give before their activation, and views that are "
            "kept apart are probabilities: use --merge gmean, which is the same for a softmax"
        )


def merge_views(views: NDArray[np.float64], merge: Merge, task: Task) -> Pooled:
    """Merge what a member gives of V views, as its graph would but for rounding.

    Args:
        views: float64 (V, N, C), in the order of the policy; one view merges to itself.
        merge: The rule, any but "logits"; see `check_mergeable`.
        task: What the columns are: rows of one label are divided by their sum.

    Returns:
        float64 (N, C).

    Raises:
        UsageError: the rule needs logits.
    """
    check_mergeable(merge)
    if len(views) == 1:
        return np.asarray(views[0], np.float64)
    match merge:
        case "mean":
            return np.asarray(views.mean(0), np.float64)
        case "gmean" | "logits":
            merged = np.exp(np.log(np.maximum(views, _TINY)).mean(0))
        case "tsharpen":
            merged = np.sqrt(views).mean(0)
        case "max":
            merged = views.max(0)
        case "min":
            merged = views.min(0)
        case _:
            assert_never(merge)
    if not TASKS[task].single:
        return np.asarray(merged, np.float64)
    return np.asarray(merged / np.maximum(merged.sum(1, keepdims=True), _TINY), np.float64)
