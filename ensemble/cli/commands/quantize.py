"""`ensemble quantize`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ensemble.cli.options import (
    Whole,
    crop_options,
    decode_of,
    decode_options,
    id_from_option,
    id_option,
    image_col_option,
    label_option,
)
from ensemble.progress_bar import Bar
from ensemble.recipe.units import percent_of

if TYPE_CHECKING:
    from ensemble.pipeline.quantize import Quantized


@click.command(epilog="Example: ensemble quantize folds/*.onnx --images train --labels train.csv "
               "--out int8")  # fmt: skip
@click.argument("members", nargs=-1, required=True)
@click.option(
    "--images",
    multiple=True,
    required=True,
    help="Images like those to predict: some calibrate, the others judge.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="A CSV with an id column and the labels of the images: accuracies are stated too.",
)
@label_option
@id_option
@click.option("--head", help="The head that the labels are of, where members carry several.")
@click.option(
    "--calibration",
    default=256,
    show_default=True,
    type=Whole(1),
    help="Images that calibrate, at most half of them.",
)
@click.option(
    "--max-disagreement",
    default="0.5%",
    show_default=True,
    help="The share of the judging images whose label may change, such as 0.5%.",
)
@id_from_option
@image_col_option
@decode_options
@crop_options
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), help="The folder to write."
)
@click.option("--force", is_flag=True, help="Replace members that are there.")
def quantize_command(members: tuple[str, ...], out: Path, **flags: Any) -> None:
    """Turn float32 members into int8 members, which are quicker on the CPU.

    Ranges are calibrated on some of the images; labels are compared on the others. Nothing is
    written where more labels change than --max-disagreement allows (exit code 4).
    """
    from ensemble.pipeline.quantize import quantize_members
    from ensemble.pipeline.quantize_order import QuantizeOrder

    flags["max_disagreement"] = percent_of(flags["max_disagreement"], "--max-disagreement")
    with Bar(sys.stderr) as bar:
        decode = decode_of(flags)
        found = quantize_members(QuantizeOrder(members=members, decode=decode, **flags), out, bar)
    for quantized in found:
        _say_quantized(quantized)


def _say_quantized(quantized: "Quantized") -> None:
    """Print how an int8 member compares with its float32 member, and where it lies."""
    click.echo(f"{quantized.card.name}: {quantized.speed:.1f} times the images/s", err=True)
    for agreement in quantized.agreements:
        click.echo(f"  {agreement}", err=True)
    click.echo(str(quantized.path))
