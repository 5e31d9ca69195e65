"""`ensemble crops`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from ensemble.boxes import BoxRule, Fallback
from ensemble.cli.options import detector_options, settings_of_flags
from ensemble.progress_bar import Bar

if TYPE_CHECKING:
    from ensemble.pipeline.crops import Crops

_QUARANTINED: Final = 3


@click.command(epilog="Example: ensemble crops --members faces.onnx --images test --out crops.csv")
@detector_options
@click.option("--sure", default=0.5, show_default=True, help="A box of this score is taken.")
@click.option("--unsure", default=0.2, show_default=True, help="Else a box of this score, where it "
              "lies about the centre of the image.")  # fmt: skip
@click.option("--centre", default=0.25, show_default=True, help="How far its centre may be from "
              "the image's, as a share of the image's sides.")  # fmt: skip
@click.option("--fallback", default="centre", show_default=True,
              type=click.Choice(get_args(Fallback)),
              help="Else the largest square about the centre, or the whole image.")  # fmt: skip
@click.option("--out", "-o", default="crops.csv", show_default=True,
              type=click.Path(path_type=Path),
              help="The file to write; a contact sheet goes beside it, as a .png.")  # fmt: skip
def crops_command(
    *,
    sure: float,
    unsure: float,
    centre: float,
    fallback: Fallback,
    out: Path,
    **settings: Any,
) -> int:
    """Run a detector over images, and choose one box of each: the --crops of a run.

    Of several boxes that may be taken it is the one with the largest product of score, share of the
    image and nearness to its centre. What the detector found is kept in the store.
    """
    from ensemble.pipeline.crops import make_crops

    rule = BoxRule(sure, unsure, centre, fallback)
    with Bar(sys.stderr) as bar:
        found = make_crops(settings_of_flags(settings), rule, out, bar)
    _say_crops(found)
    return _QUARANTINED if found.quarantined else 0


def _say_crops(found: "Crops") -> None:
    """Print how many boxes each rule chose, which images have none, and where the table lies."""
    from ensemble.predictions.oof_file import quarantine_beside

    counts = ", ".join(f"{count} {rule}" for rule, count in found.rules.items())
    click.echo(f"{sum(found.rules.values())} boxes: {counts}", err=True)
    if found.several:
        click.echo(f"{found.several} images had several boxes to choose from", err=True)
    if found.quarantined:
        click.echo(
            f"{len(found.quarantined)} images have no box and no row; see "
            f"{quarantine_beside(found.path)}",
            err=True,
        )
    click.echo(str(found.sheet), err=True)
    click.echo(str(found.path))
