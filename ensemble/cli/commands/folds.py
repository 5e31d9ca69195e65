"""`ensemble folds`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ensemble.cli.options import (
    Whole,
    decode_of,
    decode_options,
    id_from_option,
    id_option,
    image_col_option,
    label_map_of,
    label_map_options,
    label_option,
)
from ensemble.cli.origins import typed_flags
from ensemble.cli.terminal import open_console
from ensemble.errors import UsageError
from ensemble.progress_bar import Bar

if TYPE_CHECKING:
    from ensemble.evaluation.folds import FoldReport
    from ensemble.records import IdFrom


@click.command(epilog="Example: ensemble folds train.csv --k 5 --group patient --out folds.csv")
@click.argument("labels", type=click.Path(path_type=Path))
@click.option("--k", default=5, show_default=True, type=Whole(2), help="So many folds.")
@label_option
@id_option
@label_map_options
@click.option("--group", help="A column of LABELS: rows that stay together.")
@click.option("--seed", default=0, show_default=True, help="Shuffles the rows.")
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    help="A CSV with id and fold: look at these folds, and make none.",
)
@click.option(
    "--images",
    multiple=True,
    help="Find the same image in two folds, an error, and those that look alike, a note.",
)
@click.option(
    "--crops",
    type=click.Path(path_type=Path),
    help="A CSV with the box of each image, whose look counts: id, left, top, right, bottom.",
)
@id_from_option
@image_col_option
@decode_options
@click.option(
    "--out",
    "-o",
    default="folds.csv",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace another file in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report on stdout.")
def folds_command(
    labels: Path,
    *,
    k: int,
    label_column: str,
    id_column: str | None,
    label_map: Path | None,
    tasks: str,
    group: str | None,
    seed: int,
    check: Path | None,
    images: tuple[str, ...],
    crops: Path | None,
    id_from: "IdFrom",
    image_col: str | None,
    out: Path,
    force: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Split the rows of LABELS, a CSV, into stratified folds; or check folds that are there.

    Exits with 2 where a group or an image lies in several of the folds that are checked.
    """
    from ensemble.evaluation.folds import refuse_leaks
    from ensemble.pipeline import folds

    if check is not None and (beside := typed_flags(["k", "seed", "out"])):
        raise UsageError(f"{', '.join(beside)}: --check makes no folds; leave one of them out")
    with Bar(sys.stderr) as bar:
        report = folds.split(
            labels, label_column, k=k, group=group, seed=seed, check=check, images=images,
            id_from=id_from, id_column=id_column, image_col=image_col, decode=decode_of(flags),
            crops=crops, out=out, label_map=label_map_of(label_map, tasks), force=force,
            progress=bar,
        )  # fmt: skip
    _say_folds(report, as_json=as_json)
    refuse_leaks(report)
    if check is None and not as_json:
        click.echo(str(out))


def _say_folds(report: "FoldReport", *, as_json: bool) -> None:
    """Print how many rows of each class each fold has; as JSON, all there is to say."""
    if as_json:
        click.echo(json.dumps({**asdict(report), "counts": report.counts.tolist()}))
        return
    from rich.table import Table

    table = Table("fold", "rows", "fewest and most of a class, in percent of the fold")
    for fold, counts in zip(report.folds, report.counts, strict=True):
        shares = 100 * counts / max(counts.sum(), 1)
        table.add_row(
            str(fold),
            str(counts.sum()),
            f"{report.classes[shares.argmin()]} {shares.min():.2f}, "
            f"{report.classes[shares.argmax()]} {shares.max():.2f}",
        )
    open_console(stderr=True).print(table)
