"""`ensemble run` and `ensemble vote`."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from ensemble.cli.foreign import elsewhere_options, foreign_hints_of
from ensemble.cli.options import (
    named_files,
    preflight_options,
    run_options,
    settings_of_flags,
    vote_options,
)
from ensemble.cli.origins import is_typed, settings_with_origin, typed_flags
from ensemble.cli.terminal import say_config, say_plan, say_submission
from ensemble.errors import UsageError
from ensemble.progress_bar import Bar
from ensemble.recipe.settings import named

_QUARANTINED: Final = 3
_DECIDED: Final = (*named("predicted"), "device", "verify_inputs")


@click.command(epilog="Example: ensemble run --members folds/*.onnx --tta flip --images test")
@run_options
@preflight_options
@click.option("--json", "as_json", is_flag=True, help="Print run.json on stdout.")
def run_command(*, as_json: bool, dry_run: bool, show_config: bool, **settings: Any) -> int:
    """Score images with members and write a submission.

    A run that was stopped goes on with the same command: finished shards are kept in the store.
    """
    from ensemble.pipeline.plan import plan_run
    from ensemble.pipeline.run import run

    if show_config:
        say_config(settings_with_origin(), as_json=as_json)
        return 0
    recipe = settings_of_flags(settings)
    with Bar(sys.stderr) as bar:
        if dry_run:
            say_plan(asdict(plan_run(recipe, bar)), as_json=as_json)
            return 0
        result = run(recipe, bar, keep=False)
    say_submission(result, as_json=as_json)
    return _QUARANTINED if result.quarantined else 0


@click.command(epilog="Example: ensemble vote submissions/first --voting hard --out submissions/2")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--predictions",
    multiple=True,
    metavar="[NAME=]FILE...",
    help="Predictions made elsewhere, one family a file (parquet, csv, npz), or the families of "
    "a run's predictions.parquet; in place of RUN and --members.",
)
@elsewhere_options
@vote_options
@click.option("--json", "as_json", is_flag=True, help="Print run.json on stdout.")
def vote_command(
    *, run: Path | None, predictions: tuple[str, ...], as_json: bool, **settings: Any
) -> int:
    """Vote again on predictions that the store holds or that were made elsewhere; no model runs.

    Give the folder of an earlier RUN, or the same --members, --images and --tta, or --predictions.
    What is not said beside RUN (--sample, --weights, --voting, --output, --labels-as) is as it was
    in RUN; `--weights uniform` weighs families alike.
    """
    from ensemble.pipeline.vote import vote, vote_files

    decided = "--predictions" if predictions else run
    if decided is not None:
        _check_beside(decided, (*_DECIDED, "run", "head") if predictions else _DECIDED)
    if not predictions and (said := typed_flags(["rows_of", "classes", "task"])):
        raise UsageError(f"{said[0]} goes with --predictions")
    files = named_files(predictions)
    elsewhere = foreign_hints_of(settings, files, settings["id_col"])
    recipe = settings_of_flags(settings)
    given = [name for name in named("kept") if is_typed(name)]
    with Bar(sys.stderr) as bar:
        if predictions:
            result = vote_files(recipe, files, elsewhere, bar, keep=False)
        else:
            result = vote(recipe, run, bar, given, keep=False)
    say_submission(result, as_json=as_json)
    return _QUARANTINED if result.quarantined else 0


def _check_beside(decided: Path | str, names: Sequence[str]) -> None:
    """Refuse arguments that an earlier run, or a file of predictions, has decided already."""
    if beside := typed_flags(names):
        raise UsageError(
            f"{', '.join(beside)}: {decided} has decided it already; leave it out, or leave out "
            f"{decided}"
        )
