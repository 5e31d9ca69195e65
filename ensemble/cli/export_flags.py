"""Flags that say what an exported net or a foreign member is: heads, family, preprocessing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from ensemble.cli.heads import choices_by_head, classes_by_head
from ensemble.cli.options import Whole, id_option, label_option, stacked
from ensemble.errors import UsageError
from ensemble.records import Activation, Batch, ChannelOrder, Fit, Interpolation, Ordinal, Task

if TYPE_CHECKING:
    from ensemble.export.spec import ExportSpec, PreprocessFlags

described_options: Final = stacked((
    click.option("--classes", multiple=True, help="a,b,c or a file with a class a line; "
                 "HEAD=… for each head of several."),
    click.option("--head", help="The name of the one head.  [default: label]"),
    click.option("--task", multiple=True, metavar="[HEAD=]TASK",
                 help=f"{', '.join(get_args(Task))}; HEAD=… for each head that has another.  "
                 "[default: classification]"),
    click.option("--activation", multiple=True, metavar="[HEAD=]ACTIVATION",
                 help=f"What turns outputs into probabilities: {', '.join(get_args(Activation))}; "
                 "HEAD=… for each head that has another.  [default: by the graph's last operator, "
                 "and by task]"),
    click.option("--ordinal", multiple=True, metavar="[HEAD=]KIND",
                 help=f"The outputs are thresholds of ordered classes, which --classes names but "
                 f"the lowest: {', '.join(get_args(Ordinal))} (CORN, CORAL)."),
    click.option("--family", help="What the weight belongs to.  [default: from the file's name]"),
    click.option("--fold", type=Whole(0), help="[default: from the file's name, "
                 "or its folder's: f0, fold0, fold_0, fold=0]"),
    click.option("--height", type=Whole(1), help="Input height in pixels."),
    click.option("--width", type=Whole(1), help="Input width in pixels."),
    click.option("--fit", type=click.Choice(get_args(Fit)),
                 help="How an image meets the input: timm's crop_mode center, squash, border."),
    click.option("--crop-pct", type=float, help="The share of the resized image that is kept. "
                 "timm's default of 0.875 applies to squash and pad too; 1.0 keeps all."),
    click.option("--interpolation",
                 type=click.Choice(get_args(Interpolation)), help="How an image is resized."),
    click.option("--mean", help="A number a channel, with commas; pixels run from 0 to 1, or as "
                 "--input-range says."),
    click.option("--std", help="A number a channel, with commas."),
    click.option("--input-range", type=click.Choice(["1", "255"]), default="1", show_default=True,
                 help="The scale of --mean and --std: pixels run from 0 to it, as 255 for Caffe's "
                 "nets and for inputs of bytes."),
    click.option("--channel-order", type=click.Choice(get_args(ChannelOrder)), default="rgb",
                 show_default=True, help="bgr for a net trained on OpenCV's images; then --mean "
                 "and --std are blue, green, red too."),
    click.option("--batch", type=click.Choice(get_args(Batch)), default="any", show_default=True,
                 help="alone scores images one by one: for a net whose predictions depend on "
                 "their batch."),
    click.option("--margin", type=float, help="For a net that was trained on boxes of images: by "
                 "which share of its own width or height each side of a box was moved out."),
    click.option("--square", is_flag=True, help="Boxes then had the longer of their sides both "
                 "ways."),
    click.option("--dynamic-size", is_flag=True, help="The input takes any height and width."),
))  # fmt: skip

SOUP: Final = ("images", "labels", "label_column", "id_column")
"""What only a soup is told."""

soup_options: Final = stacked((
    click.option("--soup", is_flag=True, help="Average the weights of the checkpoints into one "
                 "member: of one training run, such as its last epochs."),
    click.option("--images", multiple=True, help="Of a soup: images like those to predict. Some "
                 "recalibrate its batch norms; on the others it is held against the vote of its "
                 "parts."),
    click.option("--labels", type=click.Path(path_type=Path), help="Of a soup: a CSV with an id "
                 "column and the labels of the images, none of which the checkpoints were trained "
                 "on; scores are stated too."),
    label_option,
    id_option,
))  # fmt: skip

FOREIGN: Final = {
    "arch": "foreign",
    "in_chans": 3,
    "ema": False,
    "key": None,
    "drop": (),
    "args": (),
    "trust_pickle": (),
}
"""What a card beside a foreign member says nothing of, or the same each time."""


def export_spec_of(flags: Mapping[str, Any]) -> "ExportSpec":
    """Make what `export` or `inspect --write-card` is told, of the parsed options.

    Raises:
        UsageError: classes, tasks, activations, numbers or arguments that cannot be read.
    """
    from ensemble.export.spec import ExportSpec, HeadSpec

    named = classes_by_head(flags["classes"], flags["head"])
    task: Task | None
    tasks: dict[str, Task]
    activation: Activation | None
    activations: dict[str, Activation]
    task, tasks = choices_by_head("--task", flags["task"], Task, [*named])
    activation, activations = choices_by_head(
        "--activation", flags["activation"], Activation, [*named]
    )
    ordinal: Ordinal | None
    ordinals: dict[str, Ordinal]
    ordinal, ordinals = choices_by_head("--ordinal", flags["ordinal"], Ordinal, [*named])
    heads = tuple(
        HeadSpec(name, classes, tasks.get(name), activations.get(name), ordinals.get(name, ordinal))
        for name, classes in named.items()
    )
    return ExportSpec(
        arch=flags["arch"],
        heads=heads,
        task=task or "classification",
        activation=activation,
        preprocess=_preprocess_of(flags),
        in_chans=flags["in_chans"],
        dynamic_size=flags["dynamic_size"],
        ema=flags["ema"],
        key=flags["key"],
        drop=flags["drop"],
        args=_arguments(flags["args"]),
        trust_pickle=frozenset(flags["trust_pickle"]),
        family=flags["family"],
        fold=flags["fold"],
        batch=flags["batch"],
    )


def _preprocess_of(flags: Mapping[str, Any]) -> "PreprocessFlags":
    from ensemble.export.spec import PreprocessFlags

    return PreprocessFlags(
        height=flags["height"],
        width=flags["width"],
        fit=flags["fit"],
        crop_pct=flags["crop_pct"],
        interpolation=flags["interpolation"],
        mean=_numbers("--mean", flags["mean"]),
        std=_numbers("--std", flags["std"]),
        channel_order=flags["channel_order"],
        input_range=1 if flags["input_range"] == "1" else 255,
        margin=flags["margin"],
        square=flags["square"] or None,
    )


def _numbers(flag: str, text: str | None) -> tuple[float, ...] | None:
    if not text:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} {text!r}: expected numbers with commas") from error


def _arguments(texts: Sequence[str]) -> dict[str, object]:
    found = [_argument(text) for text in texts]
    names = [name for name, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--arg {twice[0]}: said twice; leave one of them out")
    return dict(found)


def _argument(text: str) -> tuple[str, object]:
    """Read --arg NAME=VALUE: the value is JSON, such as 16, true or [2,2], and else text."""
    name, marked, value = text.partition("=")
    if not marked or not name.isidentifier():
        raise UsageError(f"--arg {text!r}: expected NAME=VALUE, such as width=16")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
