"""What a soup is made of, and on which images; checked before any checkpoint is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble.errors import UsageError, few
from ensemble.export.spec import ExportSpec
from ensemble.export.to_onnx import check_heads, identity_of
from ensemble.files.text_table import TableSource


@dataclass(frozen=True, slots=True)
class SoupOrder:
    """What is averaged, and on which images: some recalibrate batch norms, and the others judge."""

    checkpoints: tuple[Path, ...]
    spec: ExportSpec
    images: tuple[str, ...]
    labels: TableSource | None = None
    label_column: str = "label"
    id_column: str | None = None
    force: bool = False


def check_soup(order: SoupOrder) -> None:
    """Check that a soup of the checkpoints can be made and judged as it is told.

    Raises:
        UsageError: no images, fewer than two checkpoints, heads or flags that are wrong, a net that
            was trained on boxes, or labels of several heads.
    """
    check_heads(order.spec)
    if not order.images:
        raise UsageError(
            "--soup: give --images like those to predict, which recalibrate the batch norms and "
            "hold the soup against the vote of its parts"
        )
    if len(order.checkpoints) < 2:
        raise UsageError(f"--soup of {few(order.checkpoints)}: expected two checkpoints or more")
    if order.spec.preprocess.crop is not None:
        raise UsageError(
            "--soup with --margin: batch norms are recalibrated on whole images, and this net was "
            "trained on boxes. Export the checkpoints as members and let them vote"
        )
    if order.labels is not None and len(order.spec.heads) > 1:
        raise UsageError(
            f"--labels of a soup of several heads ({few(order.spec.head_names)}): leave --labels "
            f"out, and judge a submission of each head by `ensemble score`"
        )


def soup_identity(checkpoints: Sequence[Path], spec: ExportSpec) -> tuple[str, int | None]:
    """Return the family and the fold of a soup: as told, or what its checkpoints have in common.

    Raises:
        UsageError: the families differ and none is told.
    """
    found = [identity_of(path, spec) for path in checkpoints]
    families, folds = {family for family, _ in found}, {fold for _, fold in found}
    if len(families) > 1:
        raise UsageError(
            f"--soup of the families {few(sorted(families))}: a member has one; name it by --family"
        )
    family = spec.family or f"{found[0][0]}-soup"
    return family, folds.pop() if len(folds) == 1 else None
