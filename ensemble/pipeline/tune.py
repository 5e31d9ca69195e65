"""Weights tuned, written, and drawn: `ensemble tune-weights`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ensemble.errors import UsageError
from ensemble.files.atomic import check_writable, remove
from ensemble.predictions.formats import read_all, read_parts
from ensemble.predictions.table import Oof
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.progress import Listener, Progress, Quiet
from ensemble.recipe.track import Track
from ensemble.reports.trackers.record import ready, record
from ensemble.reports.trackers.tracked import of_weights
from ensemble.tuning.tune import tune_predictions, tune_tasks
from ensemble.tuning.weigh import TuneOrder
from ensemble.voting.weights import Weights


def tune_files(
    order: TuneOrder,
    progress: Progress | None = None,
    *,
    out: Path | None = None,
    tracks: Sequence[Track] = (),
) -> Weights:
    """Tune weights on the files of an order; see `tune`."""
    _check_out(out)
    if order.label_map is not None:
        parts = [
            part for name, path in order.files for part in read_parts(path, name, order.elsewhere)
        ]
        joined = join_tasks(parts, order.label_map)
        return tune_joint(joined, order, progress, out=out, tracks=tracks)
    holdout = read_all(order.holdout, order.elsewhere) if order.holdout else None
    oof = read_all(order.files, order.elsewhere)
    return tune(oof, holdout, order, progress, out=out, tracks=tracks)


def tune(
    oof: Oof,
    holdout: Oof | None,
    order: TuneOrder,
    progress: Progress | None = None,
    *,
    out: Path | None = None,
    tracks: Sequence[Track] = (),
) -> Weights:
    """Find weights by out-of-fold predictions; write them, and their picture beside them.

    Args:
        oof: The out-of-fold predictions of the families.
        holdout: Those of rows outside all folds, or None.
        order: Labels, folds, groups, and what the blend is for.
        progress: Told of what makes the answer weak, and why there is no picture.
        out: The weights.json to write; None writes none.
        tracks: The trackers that record it.

    Raises:
        UsageError: tables that do not fit together, or `out` is the picture's own name.
        StoreError: the disk refused.
    """
    progress = progress or Quiet()
    _check_out(out)
    installed = ready(tracks, progress)
    weights = tune_predictions(oof, holdout, order, progress)
    return _written(weights, out, installed, progress)


def tune_joint(
    tasks: TaskPredictions,
    order: TuneOrder,
    progress: Progress | None = None,
    *,
    out: Path | None = None,
    tracks: Sequence[Track] = (),
) -> Weights:
    """Find weights by out-of-fold predictions of several tasks; see `tune`."""
    progress = progress or Quiet()
    _check_out(out)
    installed = ready(tracks, progress)
    return _written(tune_tasks(tasks, order, progress), out, installed, progress)


def _written(
    weights: Weights, out: Path | None, tracks: Sequence[Track], listener: Listener
) -> Weights:
    """Write weights and their picture, if they are to be, and have trackers record them."""
    if out is not None:
        weights.save(out)
        _draw(weights, picture_of(out), listener)
    record(tracks, partial(of_weights, out.stem if out else "weights", weights), listener)
    return weights


def _check_out(out: Path | None) -> None:
    """Check that weights can be written, before anything is read."""
    if out is None:
        return
    if picture_of(out) == out:
        raise UsageError(f"--out {out}: its picture would replace it; name it .json")
    check_writable(out.parent, "--out")


def picture_of(out: Path) -> Path:
    """Return where the picture of a weights.json goes."""
    return out.with_suffix(".png")


def _draw(weights: Weights, path: Path, listener: Listener) -> None:
    """Draw the picture, where matplotlib is there; the numbers do without it."""
    try:
        from ensemble.reports.figures import draw
    except ModuleNotFoundError:
        remove(path)  # it would be of other weights
        listener.warn("no picture: matplotlib comes with the extra `tune`")
        return
    draw(weights, path)
