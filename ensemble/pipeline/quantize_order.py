"""What is to be quantised, and on which images; checked before any image is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ensemble.errors import MemberError, UsageError, few
from ensemble.export.int8 import check_quantizable
from ensemble.files.text_table import TableSource
from ensemble.members.member import Member
from ensemble.records import TASKS, DecodePolicy, IdFrom


@dataclass(frozen=True, slots=True)
class QuantizeOrder:
    """What is to be quantised, on which images, and how many labels may change (0 to 1).

    `crops`, `margin` and `square` say which part of an image members see, as in a run. Members that
    are there already are replaced with `force` only.
    """

    members: tuple[str, ...]
    images: tuple[str, ...]
    labels: TableSource | None = None
    label_column: str = "label"
    id_column: str | None = None
    head: str | None = None
    calibration: int = 256
    max_disagreement: float = 0.005
    id_from: IdFrom = "stem"
    image_col: str | None = None
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    crops: TableSource | None = None
    margin: float | None = None
    square: bool = False
    force: bool = False


def check_order(order: QuantizeOrder, members: Sequence[Member], out: Path) -> None:
    """Check that each member can be quantised, judged and written to the folder `out`.

    Raises:
        UsageError: settings out of range, labels of a head that has no classes, or files that would
            be replaced.
        MemberError: a member that cannot be quantised, or whose agreement no label shows.
    """
    if order.calibration < 1 or not 0 <= order.max_disagreement <= 1:
        raise UsageError(
            f"calibration is at least 1, max_disagreement from 0 to 1; found {order.calibration}, "
            f"{order.max_disagreement}"
        )
    for member in members:
        check_quantizable(member)
        _check_heads(member, order)
    _check_targets(members, out, force=order.force)


def _check_heads(member: Member, order: QuantizeOrder) -> None:
    """Check that labels show how a member's heads agree, and that one has the labels given."""
    values = [head.name for head in member.card.heads if not TASKS[head.task].bounded]
    if values:
        raise MemberError(
            f"{member.path}: head {values[0]!r} has no labels, whose agreement would show: it is a "
            f"regression, or gives boxes. Run the float32 member"
        )
    labelled = None if order.labels is None else member.card.head(order.head)
    if labelled is not None and not TASKS[labelled.task].single:
        raise UsageError(
            f"--labels gives a class an image; head {labelled.name!r} of {member.path} is "
            f"{labelled.task}"
        )


def _check_targets(members: Sequence[Member], out: Path, *, force: bool) -> None:
    """Check that no two members become one file, and that none replaces what is to be kept."""
    taken: dict[str, Path] = {}
    for member in members:
        name = member.card.name
        twin = taken.setdefault(name, member.path)
        if twin is not member.path:
            raise UsageError(f"{twin} and {member.path} would both become {name}.onnx")
        if (out / f"{name}.onnx").resolve() == member.path.resolve():
            raise UsageError(f"{member.path}: the int8 member would replace it; give another --out")
    there = [str(path) for name in taken if (path := out / f"{name}.onnx").exists()]
    if there and not force:
        raise UsageError(f"{few(there)}: there already; say --force to replace, or another --out")
