"""Proofreading a submission: whether it says of each image what was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ensemble.arrays import Indices
from ensemble.errors import ContractError, UsageError, few
from ensemble.files.csv_tables import by_id
from ensemble.submission.melted import Pairs, find_pairs
from ensemble.submission.sample_table import SampleTable, read_sample_table


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """How labels are printed: a class by its name or its number, or 0 and 1 for each of `classes`.

    `fill` is what stands there for an image without a label; None where such images have no row.
    `listed` tells that the labels that are given stand in one cell, not 0 and 1.
    """

    classes: tuple[str, ...]
    single: bool
    by_number: bool
    fill: str | None
    listed: bool = False

    def cells(self, label: Sequence[int]) -> tuple[str, ...]:
        """Return the cells of a label: of one number, the class; or of C of them, 0 and 1."""
        if self.listed:
            given = [number for number, there in enumerate(label) if there]
            return (" ".join(map(self._named, given)),)
        return (self._named(label[0]),) if self.single else tuple(map(str, label))

    def filling(self) -> tuple[str, ...]:
        """Return the cells of an image without a label."""
        fill = self.fill or ""
        if not self.single and not self.listed:
            return (str(int(float(fill))),) * len(self.classes)
        place = {name: number for number, name in enumerate(self.classes)}
        texts = fill.split() if self.listed else [fill]
        return (" ".join(self._named(place[t]) if t in place else t for t in texts),)

    def _named(self, number: int) -> str:
        return str(number) if self.by_number else self.classes[number]


def label_faults(
    path: Path, how: LabelFormat, ids: Sequence[str], labels: Indices, lost: Sequence[str]
) -> list[str]:
    """Return what a submission says that was not decided, a line for each kind of fault.

    Args:
        path: The submission.
        how: How labels are printed there; that they are listed is told by its columns.
        ids: The ids that have a label.
        labels: int64 (N, 1), classes, or (N, C) of 0 and 1.
        lost: The ids that have none.
    """
    known = frozenset([*ids, *lost])
    try:
        table = read_sample_table(path, how.classes, None, known)
        pairs = None if how.single else find_pairs(table, how.classes, known)
        found = _rows(table, how) if pairs is None else _melted_rows(pairs)
    except (UsageError, ContractError) as error:
        return [str(error)]
    if found is None:
        return [f"{path.name} has other columns than the run wrote: {few(table.header)}"]
    how = replace(how, listed=not how.single and pairs is None and _is_list(table, how))
    wanted = {name: how.cells(label) for name, label in zip(ids, labels.tolist(), strict=True)}
    wanted |= dict.fromkeys(lost, how.filling()) if how.fill is not None else {}
    return _unlike(path.name, wanted, found)


def _is_list(table: SampleTable, how: LabelFormat) -> bool:
    return len(table.columns) == 1 < len(how.classes)


def _rows(table: SampleTable, how: LabelFormat) -> dict[str, tuple[str, ...]] | None:
    """Return the cells of each id, in the order of the classes; None where columns are others."""
    places = list(table.places)
    if not how.single and not _is_list(table, how):
        if set(table.columns) != set(how.classes):
            return None
        places = [table.header.index(name) for name in how.classes]
    elif len(places) != 1:
        return None
    rows = by_id(table.path, table.body, table.id_place)
    return {name: tuple(row.cells[place] for place in places) for name, row in rows.items()}


def _melted_rows(pairs: Pairs) -> dict[str, tuple[str, ...]]:
    """Return the cells of each image, in the order of the names."""
    cells = {pair: line[pairs.value] for pair, line in zip(pairs.rows, pairs.lines, strict=True)}
    return {image: tuple(cells[image, name] for name in pairs.names) for image in pairs.images}


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
