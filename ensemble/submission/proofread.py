"""Proofreading a submission: whether it says of each image what was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble.arrays import Indices
from ensemble.errors import UsageError, few
from ensemble.files.csv_tables import by_id, read_lines


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """How labels are printed: a class by its name or its number, or 0 and 1 for each of `classes`.

    `fill` is what stands there for an image without a label; None where such images have no row.
    """

    classes: tuple[str, ...]
    single: bool
    by_number: bool
    fill: str | None

    @property
    def width(self) -> int:
        """The number of cells of a label."""
        return 1 if self.single else len(self.classes)

    def cells(self, label: Sequence[int]) -> tuple[str, ...]:
        """Return the cells of a label: of one number, the class; or of C of them, 0 and 1."""
        if not self.single:
            return tuple(str(value) for value in label)
        return (str(label[0]) if self.by_number else self.classes[label[0]],)

    def filling(self) -> tuple[str, ...]:
        """Return the cells of an image without a label."""
        fill = self.fill or ""
        if not self.single:
            return (str(int(float(fill))),) * self.width
        named = {name: (number,) for number, name in enumerate(self.classes)}
        return self.cells(named[fill]) if fill in named else (fill,)


def label_faults(
    path: Path, how: LabelFormat, ids: Sequence[str], labels: Indices, lost: Sequence[str]
) -> list[str]:
    """Return what a submission says that was not decided, a line for each kind of fault.

    Args:
        path: The submission; its first column is the id.
        how: How labels are printed there.
        ids: The ids that have a label.
        labels: int64 (N, 1), classes, or (N, C) of 0 and 1.
        lost: The ids that have none.
    """
    try:
        header, body = read_lines(path)
        found = {name: line.cells for name, line in by_id(path, body, 0).items()}
    except UsageError as error:
        return [str(error)]
    columns = _columns_of(how, header)
    if not columns:
        return [f"{path.name} has other columns than the run wrote: {few(header)}"]
    wanted = {name: how.cells(label) for name, label in zip(ids, labels.tolist(), strict=True)}
    wanted |= dict.fromkeys(lost, how.filling()) if how.fill is not None else {}
    return _unlike(path.name, wanted, {n: tuple(r[c] for c in columns) for n, r in found.items()})


def _columns_of(how: LabelFormat, header: Sequence[str]) -> list[int]:
    """Return where the cells of a label stand; none where the columns are others."""
    columns = [1] if how.single else [header.index(c, 1) for c in how.classes if c in header[1:]]
    return columns if len(columns) == how.width == len(header) - 1 else []


def _unlike(
    what: str, wanted: Mapping[str, tuple[str, ...]], found: Mapping[str, tuple[str, ...]]
) -> list[str]:
    faults = []
    if odd := sorted(wanted.keys() ^ found.keys()):
        faults.append(f"{what} lacks, or should not have, {len(odd)} rows: {few(odd)}")
    other = [name for name in wanted.keys() & found.keys() if wanted[name] != found[name]]
    if other:
        faults.append(
            f"{what} has another label than was decided in {len(other)} rows: {few(sorted(other))}"
        )
    return faults
