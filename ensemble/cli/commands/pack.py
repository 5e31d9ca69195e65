"""`ensemble pack`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ensemble.cli.options import pack_options, settings_of_flags
from ensemble.progress_bar import Bar

if TYPE_CHECKING:
    from ensemble.pipeline.pack import PackedFile


@click.command(epilog="Example: ensemble pack --members folds/*.onnx --tta hflip --weights "
               "weights.json --out model.onnx")  # fmt: skip
@pack_options
@click.option("--out", "-o", default="model.onnx", show_default=True,
              type=click.Path(path_type=Path),
              help="The file to write; what it says of itself goes beside it as .json, and weights "
              "beyond 2 GB as .data.")  # fmt: skip
@click.option("--triton", metavar="DIR", type=click.Path(path_type=Path),
              help="Also put it into this model repository of Triton, under the name of the "
              "file.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there.")
def pack_command(out: Path, *, triton: Path | None, force: bool, **flags: Any) -> None:
    """Pack an ensemble into one ONNX file: pixels in, probabilities and a label out.

    Members, views, merges, the vote, its temperature and its decision rule become one graph, which
    is run on images of noise and must give what the vote gives before it is written (exit code 4).
    Members that take other pixels have inputs of their own; how pixels are made is said, and is in
    the file.
    """
    from ensemble.pipeline.pack import pack

    settings = settings_of_flags({**flags, "images": (), "device": "cpu"})
    with Bar(sys.stderr) as bar:
        found = pack(settings, out, bar, triton=triton, force=force)
    _say_packed(found)


def _say_packed(found: "PackedFile") -> None:
    """Print what goes in and comes out, how near it is to the vote, and where the files lie."""
    for kind in ("inputs", "outputs"):
        for port in _ports(found.record[kind]):
            click.echo(port, err=True)
    count = len(found.members)
    click.echo(
        f"{count} members; on noise at most {found.difference:.1e} from the vote, and no label "
        f"differs",
        err=True,
    )
    beside = [path for path in found.files if path != found.path]
    for path in (*beside, *([found.triton] if found.triton else [])):
        click.echo(str(path), err=True)
    click.echo(str(found.path))


def _ports(told: Any) -> list[str]:
    """Return a line for each input or output of the graph."""
    return [_port(port) for port in told]


def _port(port: Mapping[str, Any]) -> str:
    shape = ", ".join(map(str, port["shape"]))
    pixels = f": {port['pixels']}" if "pixels" in port else ""
    return f"{port['name']} {port['type']} ({shape}){pixels}"
