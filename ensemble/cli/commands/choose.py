"""`ensemble choose`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ensemble.cli.options import (
    id_option,
    label_map_of,
    label_map_options,
    label_option,
    labels_option,
    track_option,
)
from ensemble.cli.terminal import open_console
from ensemble.progress_bar import Bar
from ensemble.recipe.track import tracks_of

if TYPE_CHECKING:
    from rich.table import Table

    from ensemble.recipe.policy import Policy


@click.command(epilog="Example: ensemble choose --oof views.parquet --labels train.csv --metric "
               "accuracy --budget 5ms")  # fmt: skip
@click.option(
    "--oof",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE...",
    help="What `ensemble oof --keep-views` wrote; several files for several families.",
)
@labels_option
@label_option
@id_option
@label_map_options
@click.option(
    "--metric",
    default="log_loss",
    show_default=True,
    help="What points are scored by, as of `ensemble tune-weights`; the log-loss selects.",
)
@click.option("--group", help="A column of the labels: rows that belong together.")
@click.option(
    "--pool",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "linear", "log-linear"]),
    help="How families are pooled; linear, where --early-exit lossless is wanted.",
)
@click.option("--budget", metavar="TIME", help="What an image may take, such as 5ms or 800us.")
@click.option("--evals", type=float, metavar="N", help="How many evaluations an image may have.")
@click.option("--seconds", metavar="TIME", help="What a run over --images may take: 3h, 90m.")
@click.option("--images", type=int, metavar="N", help="How many images that run has.")
@click.option(
    "--out",
    "-o",
    default="policy.json",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The file to write; frontier.png goes beside it.",
)
@track_option
@click.option("--json", "as_json", is_flag=True, help="Print policy.json on stdout.")
def choose_command(files: tuple[Path, ...], out: Path, *, as_json: bool, **flags: Any) -> None:
    """Choose the views and folds of each family that are worth their time.

    By out-of-fold predictions with each view apart, and by what each was measured to cost. A view
    that hurts is named and dropped. Every point of the frontier is scored on rows that neither its
    choice nor its weights saw; the cheapest within a standard error of the best is written.
    """
    from ensemble.pipeline.choose import PICTURE, choose_files
    from ensemble.recipe.policy import to_json
    from ensemble.tuning.budget import budget_of
    from ensemble.tuning.choose import ChooseOrder

    names = ("budget", "evals", "seconds", "images")
    budget = budget_of(**{name: flags.pop(name) for name in names})
    pool = None if (told := flags.pop("pool")) == "auto" else told
    mapped = label_map_of(flags.pop("label_map"), flags.pop("tasks"))
    tracks = tracks_of(flags.pop("track"))
    with Bar(sys.stderr) as bar:
        order = ChooseOrder(budget=budget, pool=pool, **flags)
        policy = choose_files(files, order, bar, out=out, label_map=mapped, tracks=tracks)
    if out.with_name(PICTURE).exists():
        click.echo(str(out.with_name(PICTURE)), err=True)
    if as_json:
        click.echo(json.dumps(to_json(policy), allow_nan=False))
    else:
        say_policy(policy, budget.images)
        click.echo(str(out), err=True)


def say_policy(policy: "Policy", images: int | None) -> None:
    """Print the frontier, what each view is worth, and what runs with what it will take."""
    console = open_console()
    console.print(_frontier(policy))
    for view, told in policy.views.items():
        console.print(f"{view} {told}")
    console.print(f"verdict: {policy.verdict}")
    for family, own in policy.families.items():
        folds = ", ".join(map(str, own.members))
        weights = policy.weights_of(family)
        console.print(f"{family}: {', '.join(own.views)}; folds {folds}; weight {weights}")
    total = "" if images is None else f", {policy.seconds_for(images):.1f} s for {images} images"
    console.print(
        f"{policy.evaluations} evaluations and {1000 * policy.seconds:.3f} ms an image{total}"
    )


def _frontier(policy: "Policy") -> "Table":
    """Lay out the points by cost."""
    from rich.table import Table

    table = Table("views", "evaluations", "ms an image", policy.weights.metric, "95 %", "")
    for point in policy.frontier:
        views = "; ".join(f"{name}: {', '.join(own)}" for name, own in point.views.items())
        interval = "" if point.interval is None else "{:.5f} to {:.5f}".format(*point.interval)
        table.add_row(
            views, str(point.evaluations), f"{1000 * point.seconds:.3f}", f"{point.score:.5f}",
            interval, "chosen" if point.knee else "",
        )  # fmt: skip
    return table
