"""Members in Python: exported, quantised, inspected."""

from pathlib import Path
from typing import TYPE_CHECKING

from ensemble import progress_bar
from ensemble.records import (
    BoxScale,
    DecodePolicy,
    IdFrom,
    Layout,
)

if TYPE_CHECKING:
    from ensemble.export.spec import ExportSpec
    from ensemble.export.to_onnx import Exported
    from ensemble.pipeline.quantize import Quantized
from ensemble.api.arguments import (
    Paths,
    TasksGiven,
    decode_of,
    texts_of,
)
from ensemble.api.tables import (
    ById,
    TableGiven,
    optional_table,
    read_label_map_of,
)
from ensemble.errors import UsageError, few
from ensemble.html_table import html_table
from ensemble.members.card import Card
from ensemble.pipeline.members import OutputName, inspect
from ensemble.recipe.units import percent_of


def export_members(
    checkpoints: Paths,
    spec: "ExportSpec",
    out: str | Path,
    *,
    soup: bool = False,
    images: Paths = (),
    labels: TableGiven | ById | None = None,
    label_col: str = "label",
    id_col: str | None = None,
    force: bool = False,
    progress: progress_bar.Given = "auto",
) -> list["Exported"]:
    """Export checkpoints to members; `ensemble export` in Python. Needs the extra `export`.

    Args:
        checkpoints: The checkpoint files.
        spec: The architecture, the heads, and what is not to be taken from timm's data config.
        out: The folder to write to.
        soup: Average the weights of the checkpoints into one member.
        images: Of a soup, images like those to predict: some recalibrate its batch norms, on the
            others it is held against the vote of its parts.
        labels: Of a soup, a CSV or a DataFrame with the labels of the images, or the label of each
            id, to state scores.
        label_col: The column of the labels.
        id_col: The column of the ids; None takes `id`, or the one that holds the images' ids.
        force: Replace members that are there.
        progress: Told how many members are written, or of a soup how many images have judged it;
            see `run`.

    Returns:
        For each checkpoint, or for the one soup, the member's path and card, and how far it differs
        from torch; `notes` tell how a soup compares with the vote.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.export import to_onnx

    paths = [Path(p) for p in texts_of(checkpoints, "checkpoints")]
    given = texts_of(images, "images")
    if soup:
        from ensemble.pipeline.soup import export_soup
        from ensemble.pipeline.soup_order import SoupOrder

        table = optional_table(labels, "labels", label_col, id_col)
        order = SoupOrder(tuple(paths), spec, given, table, label_col, id_col, force)
        with progress_bar.shown(progress) as told:
            return [export_soup(order, Path(out), told)]
    if given or labels is not None:
        raise UsageError("images and labels: only a soup looks at images; say soup=True")
    done = []
    with progress_bar.shown(progress) as told:
        told.start(len(paths), 1, "members")
        for exported in to_onnx.export_members(paths, spec, Path(out), force=force):
            done.append(exported)
            told.advance(1)
    return done


def quantize_members(
    members: Paths,
    images: Paths,
    out: str | Path,
    *,
    labels: TableGiven | ById | None = None,
    label_col: str = "label",
    id_col: str | None = None,
    head: str | None = None,
    calibration: int = 256,
    max_disagreement: float | str = 0.005,
    id_from: IdFrom = "stem",
    image_col: str | None = None,
    decode: DecodePolicy | None = None,
    crops: TableGiven | None = None,
    margin: float | None = None,
    square: bool = False,
    force: bool = False,
    progress: progress_bar.Given = "auto",
) -> "list[Quantized]":
    """Make int8 members for the CPU; `ensemble quantize` in Python.

    Args:
        members: As for `run`; float32 members of classes or labels.
        images: Images like those that will be predicted: some calibrate, the others judge.
        out: The folder to write to.
        labels: A CSV or a DataFrame with the labels of the images, or the label of each id, to
            state accuracies.
        label_col: The column of the labels.
        id_col: The column of the ids; None takes `id`, or the one that holds the images' ids.
        head: The head that the labels are of, where members carry several.
        calibration: Images that calibrate, at most half of them.
        max_disagreement: The share of the judging images whose label may change: 0 to 1, or text
            such as "0.5%".
        id_from: As for `run`.
        image_col: As for `run`.
        decode: As for `run`, and so are the next three.
        crops: The box of each image that members see.
        margin: How boxes are widened.
        square: Whether boxes become square.
        force: Replace members that are there.
        progress: Told how far it is; see `run`.

    Returns:
        For each member the path and card of the int8 member, and how the two compare.

    Raises:
        MemberError: a member cannot be quantised, or too many labels change; nothing is written.
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.pipeline import quantize
    from ensemble.pipeline.quantize_order import QuantizeOrder

    share = max_disagreement
    if isinstance(share, str):
        share = percent_of(share, "--max-disagreement")
    order = QuantizeOrder(
        members=texts_of(members, "members"),
        images=texts_of(images, "images"),
        labels=optional_table(labels, "labels", label_col, id_col),
        label_column=label_col,
        id_column=id_col,
        head=head,
        calibration=calibration,
        max_disagreement=share,
        id_from=id_from,
        image_col=image_col,
        decode=decode_of(decode),
        crops=optional_table(crops, "crops"),
        margin=margin,
        square=square,
        force=force,
    )
    with progress_bar.shown(progress) as told:
        return quantize.quantize_members(order, Path(out), told)


class Cards(dict[Path, Card]):
    """The card of each member, by its path."""

    def __repr__(self) -> str:
        return f"<Cards of {len(self)} members: {few([card.name for card in self.values()])}>"

    def _repr_html_(self) -> str:
        header = ("member", "family", "fold", "arch", "pixels", "heads")
        return html_table(repr(self), header, map(_cells_of, self.values()))


def _cells_of(card: Card) -> tuple[object, ...]:
    heads = "; ".join(f"{head.name}: {few(head.classes)}" for head in card.heads)
    fold = "none" if card.fold is None else card.fold
    return card.name, card.family, fold, card.arch, card.preprocess.size, heads


def inspect_members(
    members: Paths,
    *,
    write_card: "ExportSpec | None" = None,
    output_name: OutputName | None = None,
    layout: Layout | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    box_scale: BoxScale | None = None,
) -> Cards:
    """Return the card of each member, having checked that they can vote together.

    `ensemble inspect` in Python.

    Args:
        members: As for `run`.
        write_card: What a card beside each foreign .onnx is to say, which is written first: size,
            mean and std, heads, and an `arch` of any name.
        output_name: The output of the .onnx that its one head reads, or a mapping of heads to
            outputs; a head of which nothing is said reads the output of its own name.
        layout: Where a foreign .onnx has its channels: "nchw", "nhwc"; None is told by its axes.
        label_map: As for `run`: the members are to answer its tasks, not one head.
        tasks: What is declared of its tasks.
        box_scale: What a detector tells its boxes in: "pixels" of its input, or "unit", from 0 to
            1; None is pixels.

    Raises:
        MemberError: a member cannot be opened, a card does not fit it, or members cannot vote
            together.
        UsageError: nothing is named, or what is not there; or a card that says too little.
        StoreError: the disk refused a card.
    """
    mapped = read_label_map_of(label_map, tasks)
    paths = texts_of(members, "members")
    found = inspect(
        paths, write_card, output_name, layout=layout, label_map=mapped, box_scale=box_scale
    )
    found.refuse()
    return Cards(found.cards)
