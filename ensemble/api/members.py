"""Members in Python: exported, quantised, inspected."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ensemble.progress import Progress
from ensemble.records import (
    DecodePolicy,
    IdFrom,
)

if TYPE_CHECKING:
    from ensemble.export.spec import ExportSpec
    from ensemble.export.to_onnx import Exported
    from ensemble.pipeline.quantize import Quantized
from ensemble.api.arguments import ById, Paths, TableGiven, optional_table, texts_of
from ensemble.files.paths import expand
from ensemble.members.card import Card
from ensemble.members.member import open_member
from ensemble.members.together import check_every_head
from ensemble.recipe.units import percent_of


def export_members(
    checkpoints: Paths, spec: "ExportSpec", out: str | Path, *, force: bool = False
) -> list["Exported"]:
    """Export checkpoints to members; `ensemble export` in Python. Needs the extra `export`.

    Args:
        checkpoints: The checkpoint files.
        spec: The architecture, the heads, and what is not to be taken from timm's data config.
        out: The folder to write to.
        force: Replace members that are there.

    Returns:
        For each checkpoint its member's path and card, and how far it differs from torch.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.export import to_onnx

    paths = [Path(p) for p in texts_of(checkpoints)]
    return list(to_onnx.export_members(paths, spec, Path(out), force=force))


def quantize_members(
    members: Paths,
    images: Paths,
    out: str | Path,
    *,
    labels: TableGiven | ById | None = None,
    label_col: str = "label",
    head: str | None = None,
    calibration: int = 256,
    max_disagreement: float | str = 0.005,
    id_from: IdFrom = "stem",
    decode: DecodePolicy | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> "list[Quantized]":
    """Make int8 members for the CPU; `ensemble quantize` in Python.

    Args:
        members: As for `run`; float32 members of classes or labels.
        images: Images like those that will be predicted: some calibrate, the others judge.
        out: The folder to write to.
        labels: A CSV or a DataFrame with the labels of the images, or the label of each id, to
            state accuracies.
        label_col: The column of the labels.
        head: The head that the labels are of, where members carry several.
        calibration: Images that calibrate, at most half of them.
        max_disagreement: The share of the judging images whose label may change: 0 to 1, or text
            such as "0.5%".
        id_from: As for `run`.
        decode: As for `run`.
        force: Replace members that are there.
        progress: Told how far it is.

    Returns:
        For each member the path and card of the int8 member, and how the two compare.

    Raises:
        MemberError: a member cannot be quantised, or too many labels change; nothing is written.
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.pipeline import quantize

    share = max_disagreement
    if isinstance(share, str):
        share = percent_of(share, "--max-disagreement")
    order = quantize.QuantizeOrder(
        members=texts_of(members, "members"),
        images=texts_of(images, "images"),
        labels=optional_table(labels, "labels", label_col),
        label_column=label_col,
        head=head,
        calibration=calibration,
        max_disagreement=share,
        id_from=id_from,
        decode=decode or DecodePolicy(),
        force=force,
    )
    return quantize.quantize_members(order, Path(out), progress)


def inspect_members(members: str | Path | Iterable[str | Path]) -> dict[Path, Card]:
    """Return the card of each member, having checked that they can vote together.

    `ensemble inspect` in Python; members are named as for `run`.

    Raises:
        MemberError: a member cannot be opened, or members cannot vote together.
        UsageError: nothing is named, or what is not there.
    """
    given = [members] if isinstance(members, str | Path) else list(members)
    opened = [open_member(path) for path in expand(given, ".onnx", "member")]
    check_every_head(opened)
    return {member.path: member.card for member in opened}
