"""A melted sample: a row for each image and name, both in one id or in two columns."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ensemble.errors import ContractError, UsageError, few
from ensemble.files.ids import are_known, recognise
from ensemble.submission.sample_table import SampleTable

MARKS: Final = ("__", "_", "-", ".", "/", ":", "|", " ")
"""What may stand between an image and a name in one id."""

_LOOKED_AT: Final = 100
"""As many rows are asked first whether a mark stands in them at all."""

Pair: TypeAlias = tuple[str, str]
"""An image, as the sample writes it, and the name of a class, target or task."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The rows of a melted sample.

    `rows` are their pairs, `lines` their cells as they stand, of which that at the place `value` is
    to be filled. `names` are in the order of the classes or tasks.
    """

    header: tuple[str, ...]
    rows: tuple[Pair, ...]
    lines: tuple[tuple[str, ...], ...]
    value: int
    names: tuple[str, ...]

    @property
    def images(self) -> tuple[str, ...]:
        """Every image once, as the sample writes it, in the order of the rows."""
        return tuple(dict.fromkeys(image for image, _ in self.rows))


@dataclass(frozen=True, slots=True)
class _Parted:
    """Ids parted at a mark, and the pairs that each may be: of known images, or the longest name.

    `hits` counts the ids of a known image.
    """

    mark: str
    options: tuple[tuple[Pair, ...], ...]
    hits: int


def find_pairs(
    table: SampleTable, names: Sequence[str], known: Collection[str], *, every: bool = True
) -> Pairs | None:
    """Return the rows of a melted sample of these names; None where it is none.

    `every` tells that all names are needed; otherwise those that stand there are, for each image.

    It is one where most ids are `<image><mark><name>` with one mark and an image that is `known`,
    with or without a folder or an extension; or where one of two columns beside the id holds names.

    Raises:
        UsageError: an id that ends in no name, may be parted in two ways, or a pair that stands
            there twice; names its line.
        ContractError: pairs that are missing.
    """
    by_id = len(table.places) == 1
    rows = _parted_ids(table, names, known) if by_id else _paired_columns(table, names)
    if rows is None:
        return None
    pairs, value = rows
    there = {name for _, name in pairs}
    names = [name for name in names if every or name in there]
    _check_once(table, pairs)
    _check_whole(table, pairs, names)
    lines = tuple(row.cells for row in table.body)
    return Pairs(table.header, tuple(pairs), lines, value, tuple(names))


# ---- image and name in one id


def _parted_ids(
    table: SampleTable, names: Sequence[str], known: Collection[str]
) -> tuple[list[Pair], int] | None:
    """Return the pair of each id, and the place of the value; None where ids are no pairs."""
    ids, knows = table.ids, recognise(known)
    found = [_parted(ids, mark, set(names), knows) for mark in MARKS if _stands(mark, ids)]
    best = _likeliest(table, [each for each in found if 2 * each.hits > len(ids)])
    if best is None or (best.hits < len(ids) and are_known(ids, known)):
        return None
    for number, options in enumerate(best.options):
        _check_one(table, number, options, best.mark, names)
    return [options[0] for options in best.options], table.places[0]


def _likeliest(table: SampleTable, fitting: Sequence[_Parted]) -> _Parted | None:
    """Return the parting that finds the most images; None where there is none."""
    ordered = sorted(fitting, key=lambda each: -each.hits)
    if len(ordered) > 1 and ordered[0].hits == ordered[1].hits:
        marks = " or at ".join(repr(each.mark) for each in ordered[:2])
        raise UsageError(
            f"{table.path}: the ids may be parted at {marks}; write image, target and value as "
            f"three columns"
        )
    return ordered[0] if ordered else None


def _stands(mark: str, ids: Sequence[str]) -> bool:
    return any(mark in name for name in ids[:_LOOKED_AT])


def _parted(
    ids: Sequence[str], mark: str, names: Collection[str], knows: Callable[[str], bool]
) -> _Parted:
    options, hits = [], 0
    for name in ids:
        every = tuple(_splits(name, mark, names))
        sure = tuple(pair for pair in every if knows(pair[0]))
        hits += bool(sure)
        options.append(sure or every[:1])
    return _Parted(mark, tuple(options), hits)


def _splits(text: str, mark: str, names: Collection[str]) -> Iterator[Pair]:
    """Yield what an id may say, the longest name first."""
    at = text.find(mark, 1)
    while at > 0:
        if (name := text[at + len(mark) :]) in names:
            yield text[:at], name
        at = text.find(mark, at + 1)


def _check_one(
    table: SampleTable, number: int, options: Sequence[Pair], mark: str, names: Sequence[str]
) -> None:
    row = table.body[number]
    where = f"{table.path}, line {row.line}: id {row.cells[table.id_place]!r}"
    if not options:
        raise UsageError(
            f"{where}: expected an image, {mark!r} and one of {few(names)}, as in other rows"
        )
    if len(options) > 1:
        told = " or ".join(f"{name!r} of {image!r}" for image, name in options)
        raise UsageError(f"{where} may be {told}: write image, target and value as three columns")


# ---- image and name in two columns


def _paired_columns(table: SampleTable, names: Sequence[str]) -> tuple[list[Pair], int] | None:
    """Return the pair of each row, and the place of the value; None where no column has names."""
    alone = len(names) > 1 and len(set(table.ids)) == len(table.ids)
    if len(table.places) != 2 or alone or not set(table.columns).isdisjoint(names):
        return None
    target = _target_place(table, set(names))
    if target is None:
        return None
    value = sum(table.places) - target
    pairs = list(zip(table.ids, table.cells(target), strict=True))
    for row, (_, name) in zip(table.body, pairs, strict=True):
        if name not in names:
            raise UsageError(
                f"{table.path}, line {row.line}, column {table.header[target]!r}: {name!r} is none "
                f"of {few(names)}"
            )
    return pairs, value


def _target_place(table: SampleTable, names: Collection[str]) -> int | None:
    """Return the one of two columns that holds names; None where neither does."""
    found = [place for place in table.places if _mostly(table.cells(place), names)]
    if len(found) > 1:  # numbers that stand in for values may be names too
        pairs = {place: {*zip(table.ids, table.cells(place), strict=True)} for place in found}
        found = [place for place in found if len(pairs[place]) == len(table.body)]
    if len(found) > 1:
        raise UsageError(
            f"{table.path}: the columns {few(table.columns)} both hold names; call the values "
            f"otherwise, such as 0.5"
        )
    return found[0] if found else None


def _mostly(cells: Sequence[str], names: Collection[str]) -> bool:
    return 2 * sum(cell in names for cell in cells) > len(cells)


# ---- every pair once


def _check_once(table: SampleTable, pairs: Sequence[Pair]) -> None:
    seen: dict[Pair, int] = {}
    for row, pair in zip(table.body, pairs, strict=True):
        if pair in seen:
            raise UsageError(
                f"{table.path}, line {row.line}: {pair[1]!r} of {pair[0]!r} stands in line "
                f"{seen[pair]} too"
            )
        seen[pair] = row.line


def _check_whole(table: SampleTable, pairs: Sequence[Pair], names: Sequence[str]) -> None:
    images, there = dict.fromkeys(image for image, _ in pairs), set(pairs)
    if len(there) == len(images) * len(names):
        return
    lacking = [f"{n!r} of {i!r}" for i in images for n in names if (i, n) not in there]
    raise ContractError(
        f"{table.path}: a row is needed for each image and each of {few(names)}; {len(lacking)} "
        f"are missing ({few(lacking)})"
    )
