"""`ensemble oof` and `ensemble tune-weights`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from ensemble.cli.foreign import elsewhere_options, foreign_hints_of
from ensemble.cli.options import (
    engine_options,
    id_option,
    input_options,
    label_map_of,
    label_map_options,
    label_option,
    labels_option,
    named_files,
    preflight_options,
    settings_named,
    settings_of_flags,
    track_option,
)
from ensemble.cli.origins import settings_with_origin
from ensemble.cli.terminal import say_config, say_plan, say_weights
from ensemble.progress_bar import Bar
from ensemble.recipe.track import tracks_of
from ensemble.voting.weights import Polish, Pool, Write

if TYPE_CHECKING:
    from ensemble.predictions.kept_views import KeptTasks, KeptViews
    from ensemble.predictions.table import Oof
    from ensemble.predictions.tasks import TaskPredictions
    from ensemble.tuning.weigh import TuneOrder

_QUARANTINED: Final = 3


@click.command(epilog="Example: ensemble oof --members folds/*.onnx --images train --folds "
               "folds.csv --out oof.parquet")  # fmt: skip
@input_options
@engine_options
@click.option(
    "--folds",
    required=True,
    type=click.Path(path_type=Path),
    help="A CSV with the columns id and fold: which fold held out which image.",
)
@settings_named("keep_views")
@click.option("--out", "-o", default="oof.parquet", show_default=True,
              type=click.Path(path_type=Path), help="The file to write.")  # fmt: skip
@preflight_options
@click.option("--json", "as_json", is_flag=True, help="With --dry-run or --show-config: as JSON.")
def oof_command(
    *,
    folds: Path,
    out: Path,
    as_json: bool,
    dry_run: bool,
    show_config: bool,
    **settings: Any,
) -> int:
    """Predict each training image by the members that did not see it.

    Each member scores the rows of its own fold only; the folds of a family are put together. What
    was computed is kept in the store.
    """
    from ensemble.pipeline import oof, oof_views

    if show_config:
        say_config(settings_with_origin(), as_json=as_json)
        return 0
    recipe = settings_of_flags(settings)
    plan = oof_views.plan_views if recipe.keep_views else oof.plan_oof
    predict = oof_views.predict_views if recipe.keep_views else oof.predict_oof
    with Bar(sys.stderr) as bar:
        if dry_run:
            say_plan(asdict(plan(recipe, folds, out, bar)), as_json=as_json)
            return 0
        found = predict(recipe, folds, bar, out=out)
    _say_oof(found, out)
    return _QUARANTINED if found.quarantined else 0


def _say_oof(found: "Oof | TaskPredictions | KeptViews | KeptTasks", out: Path) -> None:
    """Print how many rows there are, which images have none, and on stdout where they lie."""
    from ensemble.predictions.oof_file import quarantine_beside

    click.echo(f"{len(found.ids)} rows, {_counted(found)}", err=True)
    if found.quarantined:
        click.echo(
            f"{len(found.quarantined)} images have no prediction and no row; see "
            f"{quarantine_beside(out)}",
            err=True,
        )
    click.echo(str(out))


def _counted(found: "Oof | TaskPredictions | KeptViews | KeptTasks") -> str:
    """Say of how many families predictions are, and of which tasks or in how many views."""
    from ensemble.predictions.kept_views import KeptTasks, KeptViews
    from ensemble.predictions.tasks import TaskPredictions

    if isinstance(found, KeptViews):
        views = sum(map(len, found.columns.values()))
        return f"{len(found.columns)} families, {views} views of them kept apart"
    if isinstance(found, KeptTasks):
        return (f"{len(found.members)} families, for the tasks {', '.join(found.label_map.names)}, "
                f"their views kept apart")  # fmt: skip
    if not isinstance(found, TaskPredictions):
        return f"{len(found.families)} families"
    families = {each.family for each in found.columns()}
    return f"{len(families)} families, for the tasks {', '.join(found.label_map.names)}"


@click.command("tune-weights", epilog="Example: ensemble tune-weights --oof oof.parquet --labels "
               "train.csv --metric f1_macro")  # fmt: skip
@click.option(
    "--oof",
    "files",
    multiple=True,
    required=True,
    metavar="[NAME=]FILE...",
    help="OOF files, or one family's predictions from elsewhere (parquet, csv, npz, npy).",
)
@elsewhere_options
@labels_option
@label_option
@id_option
@label_map_options
@click.option(
    "--metric",
    default="log_loss",
    show_default=True,
    help="What the blend is for: accuracy, balanced_accuracy, f1_macro, f1_micro, "
    "log_loss, brier, auc, qwk, top_k; f1, map, auc of a multilabel task; rmse, mae of a "
    "regression; or pkg.mod:fn(y, probs), greater being better.",
)
@click.option(
    "--folds",
    type=click.Path(path_type=Path),
    help="A CSV with id and fold.  [default: the fold column of the OOF files]",
)
@click.option("--group", help="A column of the labels: rows that belong together.")
@click.option(
    "--pool",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", *get_args(Pool)]),
    help="How families are pooled; rank pools ranks among the OOF rows, for an AUC.",
)
@click.option(
    "--polish",
    default="auto",
    show_default=True,
    type=click.Choice(get_args(Polish)),
    help="Whether to chase the metric "
    "itself: only if that proves itself out of fold, always, or never.",
)
@click.option(
    "--write",
    default="auto",
    show_default=True,
    type=click.Choice(get_args(Write)),
    help="Which blend to write: what the evidence says, or always the best that was fitted, the "
    "plain mean or the best single family.",
)
@click.option(
    "--holdout",
    multiple=True,
    metavar="[NAME=]FILE...",
    help="Predictions of rows outside all folds, each family the mean of its folds, such as a "
    "run's predictions.parquet: the temperature is fitted on them.",
)
@click.option(
    "--holdout-labels",
    type=click.Path(path_type=Path),
    help="A CSV with the labels of these rows.  [default: --labels]",
)
@click.option(
    "--out",
    "-o",
    default="weights.json",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The file to write; a picture of it goes beside it, as a .png.",
)
@track_option
@click.option("--json", "as_json", is_flag=True, help="Print weights.json on stdout.")  # fmt: skip
def tune_weights_command(out: Path, *, as_json: bool, **flags: Any) -> None:
    """Find blend weights by out-of-fold predictions, and say what they are worth.

    From the plain mean to a log-linear pool, blends compete on rows that they did not see, and the
    simplest that these speak for is written. The gain that is told has paid for that choice.
    """
    from ensemble.pipeline.tune import picture_of, tune_files
    from ensemble.voting.weights import to_json

    tracks = tracks_of(flags.pop("track"))
    with Bar(sys.stderr) as bar:
        weights = tune_files(_order(flags), bar, out=out, tracks=tracks)
    if picture_of(out).exists():
        click.echo(str(picture_of(out)), err=True)
    if as_json:
        click.echo(json.dumps(to_json(weights), allow_nan=False))
    else:
        say_weights(weights, out)


def _order(flags: dict[str, Any]) -> "TuneOrder":
    from ensemble.tuning.weigh import TuneOrder

    files = named_files(flags.pop("files"))
    pool = None if flags["pool"] == "auto" else flags["pool"]
    holdout = named_files(flags.pop("holdout"))
    elsewhere = foreign_hints_of(flags, files, flags["id_column"])
    flags["label_map"] = label_map_of(flags.pop("label_map"), flags.pop("tasks"))
    return TuneOrder(files, holdout=holdout, elsewhere=elsewhere, **{**flags, "pool": pool})
