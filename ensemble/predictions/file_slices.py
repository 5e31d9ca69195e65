"""Files of predictions, joined by id and read slice by slice."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from ensemble.arrays import Pooled
from ensemble.files.parquet import Floats
from ensemble.predictions import formats, table
from ensemble.predictions.hints import NO_HINTS, ForeignHints
from ensemble.predictions.join import Layout, joined_rows, layout_of
from ensemble.predictions.plain_file import PlainFile, plain_file
from ensemble.predictions.slices import BallotSlices, row_slices
from ensemble.predictions.table import Predictions
from ensemble.voting.vote import Ballot

_ROWS: Final = 1 << 14
"""Rows that are hashed at once."""

Part: TypeAlias = Predictions | PlainFile
"""What a file holds: in memory, or to be read slice by slice."""


def read_in_slices(
    files: Sequence[tuple[str | None, Path]], told: ForeignHints | None, classes: Sequence[str]
) -> tuple[Predictions, BallotSlices]:
    """Read which rows files of predictions have, joined by id, and how to read their numbers.

    It is the same as `identified(in_order(read_all(files, told), classes))`, without the numbers.

    Args:
        files: Each with the name of its family, or None; see `formats.read`.
        told: What the files do not say themselves.
        classes: The order of the classes; empty for that of the first file.

    Raises:
        UsageError: as for these.
    """
    parts = _parts_of(files, told)
    told_of, layouts = _laid_out(parts)
    joined = table.in_order(joined_rows(told_of, layouts), classes)
    layouts = [
        replace(layout, columns=[each.classes.index(c) for c in joined.classes])
        for layout, each in zip(layouts, told_of, strict=True)
    ]
    pairs = list(zip(parts, layouts, strict=True))

    def slices(rows: int) -> Iterator[Sequence[Ballot]]:
        for some in zip(*(_numbers(*pair, rows) for pair in pairs), strict=True):
            found = {name: probs for each in some for name, probs in each.items()}
            yield [Ballot(name, name, found[name]) for name in sorted(found)]

    digests = {name: digest for pair in pairs for name, digest in _digests(*pair).items()}
    return table.identified_by(joined, dict(sorted(digests.items()))), slices


def _parts_of(files: Sequence[tuple[str | None, Path]], told: ForeignHints | None) -> list[Part]:
    parts: list[Part] = []
    known: pa.StringArray | None = None
    for name, path in files:
        plain = plain_file(path, name, told or NO_HINTS, known)
        known = plain.ids if plain else known
        parts.append(plain or formats.read(path, name, told))
    return parts


def _laid_out(parts: Sequence[Part]) -> tuple[list[Predictions], list[Layout]]:
    """Return what each part says of its rows, and how it is laid out; only the first keeps ids."""
    first = _rows_of(parts[0])
    told_of, layouts = list[Predictions](), list[Layout]()
    for part in parts:
        told = first if _share_ids(part, parts[0]) else _rows_of(part)
        told = replace(told if isinstance(part, Predictions) else part.about, ids=told.ids)
        layouts.append(layout_of(first, told))
        told_of.append(replace(told, ids=first.ids))
    return told_of, layouts


def _share_ids(part: Part, first: Part) -> bool:
    return isinstance(part, PlainFile) and isinstance(first, PlainFile) and part.ids is first.ids


def _rows_of(part: Part) -> Predictions:
    if isinstance(part, Predictions):
        return part
    return replace(part.about, ids=tuple(part.ids.to_pylist()))


def _numbers(part: Part, layout: Layout, size: int) -> Iterator[dict[str, Pooled]]:
    """Yield each family's numbers, float64 (n, C), in the rows and columns that were joined.

    Those of a file in another order are read at once.
    """
    if isinstance(part, PlainFile) and layout.rows is None:
        for some in part.slices(size):
            yield {n: _turned(part.pooled(numbers), layout) for n, numbers in some.items()}
        return
    whole = part.families if isinstance(part, Predictions) else _whole(part)
    count = len(next(iter(whole.values())))
    for at in row_slices(count, size):
        rows = at if layout.rows is None else layout.rows[at]
        taken = {name: numbers[rows] for name, numbers in whole.items()}
        if isinstance(part, PlainFile):
            taken = {name: part.pooled(numbers) for name, numbers in taken.items()}
        yield {n: _turned(np.asarray(p, np.float64), layout) for n, p in taken.items()}


def _turned(probs: Pooled, layout: Layout) -> Pooled:
    """Return numbers (n, C) in the columns that were joined."""
    return probs if _straight(layout) else probs[:, layout.columns]


def _straight(layout: Layout) -> bool:
    return layout.columns == list(range(len(layout.columns)))


def _whole(part: PlainFile) -> dict[str, Floats]:
    """Read each family's numbers at once, as they stand in the file."""
    found: dict[str, Floats] = {}
    start = 0
    for some in part.slices(_ROWS):
        for name, numbers in some.items():
            shape = (len(part.ids), numbers.shape[1])
            held = found.setdefault(name, np.empty(shape, numbers.dtype))
            held[start : start + len(numbers)] = numbers
        start += len(next(iter(some.values())))
    return found


def _digests(part: Part, layout: Layout) -> dict[str, str]:
    """Return the SHA-256 of each family's numbers as they are joined."""
    if isinstance(part, PlainFile) and layout.rows is None and _straight(layout):
        return dict(part.digests)
    found = {name: hashlib.sha256() for name in _names(part)}
    for some in _numbers(part, layout, _ROWS):
        for name, probs in some.items():
            found[name].update(np.ascontiguousarray(probs).tobytes())
    return {name: digest.hexdigest() for name, digest in found.items()}


def _names(part: Part) -> Sequence[str]:
    return list(part.families if isinstance(part, Predictions) else part.about.families)
