"""`ensemble export` and `ensemble inspect`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from ensemble.cli.export_flags import (
    FOREIGN,
    SOUP,
    described_options,
    export_spec_of,
    soup_options,
)
from ensemble.cli.heads import outputs_by_head
from ensemble.cli.options import Whole, label_map_of, label_map_options
from ensemble.cli.origins import typed_flags
from ensemble.cli.terminal import open_console
from ensemble.errors import UsageError, few
from ensemble.progress_bar import Bar
from ensemble.records import MAX_CHANNELS, BoxScale, Layout

if TYPE_CHECKING:
    from ensemble.export.to_onnx import Exported
    from ensemble.members.card import Card, Head
    from ensemble.pipeline.members import Inspected


@click.command(epilog="Example: ensemble export folds/*.ckpt --arch resnet50 --classes "
               "classes.txt --out members")  # fmt: skip
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--arch", required=True, help="A timm name, or pkg.mod:factory, called with "
              "num_classes (also found in the working directory).")  # fmt: skip
@click.option("--arg", "args", multiple=True, metavar="NAME=VALUE", help="What the factory, or "
              "timm's create_model, is called with besides, such as width=16.")  # fmt: skip
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), help="The folder to write."
)
@described_options
@click.option("--in-chans", default=3, show_default=True, type=Whole(1, MAX_CHANNELS),
              help="1 is grey, 3 are colours; another number are as many bands of a TIFF or .npy "
              "file.")  # fmt: skip
@click.option("--ema", is_flag=True, help="Take the moving average of the weights, of an entry "
              "of its own or under names such as model_ema.")  # fmt: skip
@click.option("--key", help="The entry of the file that holds the weights, such as net.")
@click.option("--drop", multiple=True, metavar="PREFIX", help="Names that begin so are no "
              "weights of the net, such as criterion. in a Lightning file.")  # fmt: skip
@click.option("--trust-pickle", multiple=True, type=click.Path(path_type=Path),
              help="Run the code that this checkpoint's pickle asks for.")  # fmt: skip
@soup_options
@click.option("--force", is_flag=True, help="Replace members that are there.")
def export_command(
    checkpoints: tuple[Path, ...], out: Path, *, force: bool, soup: bool, **flags: Any
) -> None:
    """Turn fold checkpoints into ONNX members that describe themselves.

    Each member is compared with torch at batches of 1, 2 and 5 before it is written. Without
    --height, --mean and the like, a timm net's own data config is taken; a factory needs
    --height, --width, --mean and --std, and defaults to crop_pct 1.0 and bilinear.
    With --soup the checkpoints' weights become one member, called <family>-soup.
    """
    from ensemble.export.to_onnx import export_members
    from ensemble.members.together import note_of_single_folds

    if soup:
        _export_soup(checkpoints, out, force=force, flags=flags)
        return
    if beside := typed_flags(SOUP):
        raise UsageError(f"{', '.join(beside)}: only --soup looks at images; add it")
    cards = []
    for exported in export_members(checkpoints, export_spec_of(flags), out, force=force):
        _say_export(exported)
        cards.append(exported.card)
    _say_note(note_of_single_folds(cards))


def _export_soup(
    checkpoints: tuple[Path, ...], out: Path, *, force: bool, flags: dict[str, Any]
) -> None:
    from ensemble.pipeline.soup import export_soup
    from ensemble.pipeline.soup_order import SoupOrder

    told = {name: flags[name] for name in SOUP}
    order = SoupOrder(checkpoints, export_spec_of(flags), force=force, **told)
    with Bar(sys.stderr) as bar:
        exported = export_soup(order, out, bar)
    _say_export(exported)


@click.command(epilog="Example: ensemble inspect folds/*.onnx")
@click.argument("members", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the cards on stdout as JSON.")
@click.option("--verbose", is_flag=True, help="Show the cards as a table: preprocessing, "
              "activations and classes too.")  # fmt: skip
@click.option("--write-card", is_flag=True, help="Write a sidecar card for each foreign .onnx, "
              "from the flags below.")  # fmt: skip
@described_options
@click.option("--output-name", multiple=True, metavar="[HEAD=]NAME", help="The output of the "
              ".onnx that a head reads; HEAD=… for each head of several.  "
              "[default: the head's name]")  # fmt: skip
@click.option("--layout", type=click.Choice(get_args(Layout)), help="Where the input has its "
              "channels.  [default: by its axes]")  # fmt: skip
@click.option("--box-scale", type=click.Choice(get_args(BoxScale)), help="Of a detector: its boxes "
              "are told in pixels of its input, or from 0 to 1.  [default: pixels]")  # fmt: skip
@label_map_options
def inspect_command(
    members: tuple[str, ...],
    *,
    as_json: bool,
    verbose: bool,
    write_card: bool,
    label_map: Path | None,
    tasks: str,
    **flags: Any,
) -> None:
    """Show members, a line each, and whether they can vote together."""
    from ensemble.pipeline.members import inspect

    if not write_card and (beside := typed_flags(list(flags))):
        raise UsageError(f"{', '.join(beside)}: only --write-card writes what these say; add it")
    spec = export_spec_of(FOREIGN | flags) if write_card else None
    output = outputs_by_head(flags["output_name"], spec.head_names if spec else ())
    mapped = label_map_of(label_map, tasks)
    told = {name: flags[name] for name in ("layout", "box_scale")}
    found = inspect(members, spec, output, label_map=mapped, **told)
    for path in found.written:
        click.echo(str(path), err=True)
    if as_json or verbose:
        _say_cards(list(found.cards.items()), as_json=as_json)
    else:
        click.echo("\n".join(map(_line_of, found.cards.values())))
    found.refuse()
    _say_agreement(found)


def _say_export(exported: "Exported") -> None:
    """Print the member that was written, and how far it differs from torch."""
    card = exported.card
    stripped = f", prefix {exported.stripped!r} stripped" if exported.stripped else ""
    click.echo(
        f"{card.name}: family {card.family}, {_fold(card)}, {_pixels(card)}, "
        f"largest difference from torch {exported.max_abs_diff:.1e}{stripped}",
        err=True,
    )
    for note in exported.notes:
        _say_note(f"{card.name}: {note}")
    click.echo(str(exported.path))


def _say_note(note: str | None) -> None:
    if note:
        click.echo(f"{click.style('note:', fg='yellow')} {note}", err=True)


def _say_agreement(found: "Inspected") -> None:
    """Print that members can vote together, who answers which task, and what is odd."""
    for note in found.notes:
        _say_note(note)
    for task, families in found.answered.items():
        click.echo(f"{task}: {', '.join(families) or 'no family alone'}", err=True)
    if not any(card.finds_boxes for card in found.cards.values()):
        click.echo("these members can vote together", err=True)


def _say_cards(members: "Sequence[tuple[Path, Card]]", *, as_json: bool) -> None:
    """Print cards as a table, or as JSON."""
    from ensemble.members.card_json import to_json

    if as_json:
        click.echo(json.dumps({str(p): json.loads(to_json(c)) for p, c in members}, indent=1))
        return
    from rich.table import Table

    table = Table("member", "family, fold, arch", "pixels", "heads", show_lines=True)
    for _, card in members:
        heads = "\n".join(f"{h.name} ({h.activation}): {few(h.classes)}" for h in card.heads)
        about = f"{card.family}, {_fold(card)}\n{card.arch}"
        about += f", {card.source['quantized']}" if "quantized" in card.source else ""
        table.add_row(card.name, about, _pixels(card).replace("; ", "\n"), heads)
    open_console().print(table)


def _line_of(card: "Card") -> str:
    """Describe a member in a line: who it is, what it takes, and each head with its task."""
    seen, _, _ = _pixels(card).partition("; ")
    told = [card.family, _fold(card), seen, *filter(None, [card.source.get("quantized")])]
    return f"{card.name}: {', '.join(map(str, told))}; {'; '.join(map(_told, card.heads))}"


def _told(head: "Head") -> str:
    """Say what a head predicts: "label: classification, 3 classes"."""
    if head.boxes is not None:
        return f"{head.name}: a detector, {head.boxes.count} boxes"
    what = "values" if head.task == "regression" else "classes"
    count = len(head.classes)
    of = f"{count} {what}" if count > 1 else f"{head.classes[0]} alone"
    return f"{head.name}: {head.task}, {of}"


def _fold(card: "Card") -> str:
    return "no fold" if card.fold is None else f"fold {card.fold}"


def _pixels(card: "Card") -> str:
    """Say what the member wants to see: size, fit, and normalisation."""
    pre = card.preprocess
    colours = {1: "grey", 3: pre.channel_order.upper()}.get(len(pre.mean), f"{len(pre.mean)} bands")
    size = f"{pre.size}{' or any' if card.dynamic_size else ''}, {colours}"
    size += ", one by one" if card.batch == "alone" else ""
    size += f", crops {pre.crop}" if pre.crop else ""
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (pre.mean, pre.std))
    return f"{size}; {pre.fit} {pre.crop_pct:g}, {pre.interpolation}; mean {mean}; std {std}"
