"""The table of crops: a box an image, written and read, and held against the images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ensemble.boxes import RULES, Box
from ensemble.errors import ImageError, UsageError, few
from ensemble.files.csv_tables import TableRow, csv_bytes, read_lines, rows_of
from ensemble.files.text_table import TableSource
from ensemble.images.box_choice import (
    DECIMALS,
    ChosenBox,
)
from ensemble.images.loader import load_image
from ensemble.images.reading import Hashed
from ensemble.images.sizes import sizes_of
from ensemble.records import (
    DecodePolicy,
    Size,
)

_SIDES: Final = ("left", "top", "right", "bottom")
_SIZE: Final = ("width", "height")
_HEADER: Final = ("id", *_SIDES, "score", "rule", "boxes", *_SIZE)


@dataclass(frozen=True, slots=True)
class CropRow:
    """What a row says: the box, and the size of the image that it was made for, where told."""

    box: Box
    size: Size | None = None


def crops_bytes(chosen: Mapping[str, tuple[ChosenBox, Size]]) -> bytes:
    """Return the table of the boxes that were chosen, a row an id, with their images' sizes."""
    rows = [
        (
            name,
            *(f"{side:.{DECIMALS}f}" for side in found.box.sides),
            f"{found.score:.4f}",
            found.box.rule,
            found.count,
            size.width,
            size.height,
        )
        for name, (found, size) in chosen.items()
    ]
    return csv_bytes([_HEADER, *rows])


def read_crops(
    table: TableSource, id_col: str | None = None, known: Sequence[str] = ()
) -> dict[str, CropRow]:
    """Read a table with the columns id, left, top, right, bottom; from wherever it is.

    The columns width and height say for which size of the image a box was made, and `rule` how it
    was chosen; all may be missing, and columns of other names are left alone.

    Raises:
        UsageError: a column that is missing, an id twice, a cell that is no number, a box that
            ends before it begins; names lines and ids.
    """
    header, _ = read_lines(table)
    sized = set(_SIZE) <= set(header)
    names = [*_SIDES, *(_SIZE if sized else ()), *(["rule"] if "rule" in header else [])]
    rows = rows_of(table, names, id_col, known)
    found = {
        name: _row(table, row, sized=sized, ruled="rule" in header) for name, row in rows.items()
    }
    wrong = [n for n, r in found.items() if r.box.left >= r.box.right or r.box.top >= r.box.bottom]
    if wrong:
        raise UsageError(
            f"{table}: {len(wrong)} boxes end before they begin; expected left < right and top < "
            f"bottom: {few(wrong)}"
        )
    return found


def with_boxes(
    images: Sequence[Hashed],
    table: TableSource,
    policy: DecodePolicy,
    threads: int,
    id_col: str | None = None,
) -> list[Hashed]:
    """Return the images with the box that a table gives each; rows of other ids are not used.

    An image that cannot be decoded needs none: it will be quarantined.

    Raises:
        UsageError: an image without a row, a box that shows none of its image, or one that was
            made for another size of it; names the ids.
    """
    rows = read_crops(table, id_col, [image.source.id for image in images])
    sizes = sizes_of(images, policy, threads)
    pairs = list(zip(images, sizes, strict=True))
    lacking = [image for image, size in pairs if size and image.source.id not in rows]
    _check(table, [i.source.id for i in lacking if _decodes(i, policy)], "images have no row")
    there = [(i.source.id, rows[i.source.id], size) for i, size in pairs
             if size and i.source.id in rows]  # fmt: skip
    _check(
        table,
        [f"{name} ({row.size}, the image has {size})" for name, row, size in there
         if row.size not in (None, size)],
        "boxes were made for another size of their image",
    )  # fmt: skip
    _check(
        table,
        [name for name, row, size in there if not _shows(row.box, size)],
        "boxes lie outside their image",
    )
    kept = {name: row.box for name, row, _ in there}
    return [replace(image, box=kept.get(image.source.id)) for image in images]


def _check(table: TableSource, wrong: Sequence[str], what: str) -> None:
    if wrong:
        raise UsageError(
            f"{table}: {len(wrong)} {what}: {few(wrong)}. Make the table again for these images, "
            f"with the same --exif, by `ensemble crops`"
        )


def _shows(box: Box, size: Size) -> bool:
    """Tell whether a box shows any of an image."""
    return box.left < size.width and box.top < size.height and box.right > 0 and box.bottom > 0


def _decodes(image: Hashed, policy: DecodePolicy) -> bool:
    try:
        load_image(image, policy)
    except ImageError:
        return False
    return True


def _row(table: TableSource, row: TableRow, *, sized: bool, ruled: bool) -> CropRow:
    numbers = [_number(table, row.line, cell) for cell in row.cells[: 6 if sized else 4]]
    rule = row.cells[-1] if ruled and row.cells[-1] in RULES else ""
    size = Size(round(numbers[5]), round(numbers[4])) if sized else None
    left, top, right, bottom = numbers[:4]
    return CropRow(Box(left, top, right, bottom, rule), size)


def _number(table: TableSource, line: int, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{table}, line {line}: {cell!r} is no number of pixels")
    return number
