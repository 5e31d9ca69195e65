"""A policy chosen, written, and drawn: `ensemble choose`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.files.atomic import check_writable, remove
from ensemble.label_map import LabelMap
from ensemble.predictions.join_views import join_tasks_apart, join_views
from ensemble.predictions.kept_views import KeptTasks, KeptViews
from ensemble.predictions.views_file import read_views
from ensemble.progress import Progress, Quiet
from ensemble.recipe.policy import Policy
from ensemble.recipe.track import Track
from ensemble.reports.trackers.record import ready, record
from ensemble.reports.trackers.tracked import of_policy
from ensemble.tuning.choose import ChooseOrder, choose

PICTURE: Final = "frontier.png"
"""What the picture of a policy is called, beside it."""


def choose_files(
    files: Sequence[Path],
    order: ChooseOrder,
    progress: Progress | None = None,
    *,
    out: Path | None = None,
    label_map: LabelMap | None = None,
    tracks: Sequence[Track] = (),
) -> Policy:
    """Choose by files of views that were kept apart; see `choose_policy`.

    Raises:
        UsageError: as for it; or files of several heads without a label map.
    """
    parts = [part for path in files for part in read_views(path)]
    if label_map is None and len({part.output for part in parts}) > 1:
        raise UsageError("--oof: it holds heads of several tasks: give --label-map too")
    joined = join_views(parts) if label_map is None else join_tasks_apart(parts, label_map)
    return choose_policy(joined, order, progress, out=out, tracks=tracks)


def choose_policy(
    kept: KeptViews | KeptTasks,
    order: ChooseOrder,
    progress: Progress | None = None,
    *,
    out: Path | None = None,
    tracks: Sequence[Track] = (),
) -> Policy:
    """Choose views, folds and weights, and write them with the picture of the frontier.

    Args:
        kept: Out-of-fold predictions with each view apart, and their costs.
        order: Labels, metric and budget.
        progress: Told of what makes the answer weak, and why there is no picture.
        out: The policy.json to write; None writes none.
        tracks: The trackers that record it.

    Raises:
        UsageError: what does not fit together, or a budget below the cheapest choice.
        StoreError: the disk refused.
    """
    progress = progress or Quiet()
    if out is not None:
        if out.name == PICTURE:
            raise UsageError(f"--out {out}: its picture would replace it; name it .json")
        check_writable(out.parent, "--out")
    installed = ready(tracks, progress)
    policy = choose(kept, order, progress)
    if out is not None:
        policy.save(out)
        _draw(policy, out.with_name(PICTURE), progress)
    record(installed, partial(of_policy, out.stem if out else "policy", policy), progress)
    return policy


def _draw(policy: Policy, path: Path, progress: Progress) -> None:
    """Draw the frontier, where matplotlib is there; the numbers do without it."""
    try:
        from ensemble.reports.frontier_figure import draw_frontier
    except ModuleNotFoundError:
        remove(path)  # it would be of another policy
        progress.warn("no picture: matplotlib comes with the extra `tune`")
        return
    draw_frontier(policy, path)
