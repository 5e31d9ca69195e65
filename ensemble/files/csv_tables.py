"""Tables that people give: CSV, or a table in memory, read as text and never guessed at."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import UsageError, few
from ensemble.files import columns as roles
from ensemble.files.compressed import unpacked
from ensemble.files.ids import Tell, counterparts, describe_counterparts
from ensemble.files.text_table import TableSource, TextTable

_FORMULA: Final = ("=", "+", "-", "@")

_QUOTED: Final = re.compile('[",\r\n]')
"""What a cell is quoted for."""

_WHOLE: Final = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")


@dataclass(frozen=True, slots=True)
class TableRow:
    """Some cells of a row, and the line of the file that it ends in, as an editor counts."""

    line: int
    cells: tuple[str, ...]


def is_csv(path: Path) -> bool:
    """Tell whether a file is a CSV by its name, compressed or not."""
    return path.name.lower().endswith((".csv", ".csv.gz", ".zip"))


def read_table(path: TableSource) -> tuple[list[str], list[list[str]]]:
    """Read a CSV as text: its header and its rows; see `read_lines`."""
    header, lines = read_lines(path)
    return header, [list(line.cells) for line in lines]


def read_lines(path: TableSource) -> tuple[list[str], list[TableRow]]:
    """Read a CSV as text: its header, and its rows with their lines. A BOM and CRLF are accepted.

    Raises:
        UsageError: the file cannot be read, is empty, is not UTF-8, has a duplicate column, or a
            row of another length; names the line.
    """
    rows = _rows_of_memory(path) if isinstance(path, TextTable) else _rows_of_file(path)
    if not rows:
        raise UsageError(f"{path}: the table is empty")
    header, body = list(rows[0].cells), rows[1:]
    _check_header(path, header)
    for row in body:
        if len(row.cells) != len(header):
            raise UsageError(
                f"{path}, line {row.line}: {len(row.cells)} columns; the header has {len(header)}"
            )
    return header, body


def _rows_of_memory(table: TextTable) -> list[TableRow]:
    return [TableRow(line, cells) for line, cells in enumerate([table.header, *table.rows], 1)]


def _rows_of_file(path: Path) -> list[TableRow]:
    """Return the rows of a CSV, compressed or not, the header among them, with their lines."""
    try:
        text = unpacked(path).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot read the table: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    if "\0" in text:  # csv would read it as a letter of a cell
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UsageError(f"{path}, line {line}: a NUL byte: UTF-16, perhaps; save it as UTF-8")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [TableRow(reader.line_num, tuple(row)) for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}") from error


def csv_bytes(rows: Iterable[Iterable[object]], errors: str = "strict") -> bytes:
    """Write rows as CSV in UTF-8, lines ending in LF; `errors` is as for `str.encode`."""
    return "".join(csv_lines(rows)).encode(errors=errors)


def csv_lines(rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the line of each row, ending in LF.

    Before Python 3.13 csv leaves a lone CR within a cell unquoted, where it ends a line for who
    reads it, unless CR is part of the line's end: so it is, until the rows are joined.
    """
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return [line.removesuffix("\r\n") + "\n" for line in lines]


def csv_column(texts: Sequence[str]) -> Sequence[str]:
    """Return texts that are not empty as cells of a CSV, quoted where they must be."""
    if not _QUOTED.search("".join(texts)):
        return texts
    return [line.removesuffix("\n") for line in csv_lines([text] for text in texts)]


def column_of(
    path: TableSource,
    column: str,
    id_column: str | None = None,
    known: Collection[str] = (),
    tell: Tell | None = None,
) -> dict[str, str]:
    """Return a column of a CSV by id, as `rows_of` does; a cell a row.

    Raises:
        UsageError: a column that is not there, or an id that is empty or stands there twice.
    """
    rows = rows_of(path, [column], id_column, known, tell)
    return {name: row.cells[0] for name, row in rows.items()}


def rows_of(
    path: TableSource,
    columns: Sequence[str],
    id_column: str | None = None,
    known: Collection[str] = (),
    tell: Tell | None = None,
) -> dict[str, TableRow]:
    """Return some columns of a CSV by id, byte-exact; for the id see `columns.id_column`.

    Ids that are those `known` but for a folder or an extension are replaced by them, where that is
    one to one and there is somebody to `tell`; see `ids.counterparts`.

    Raises:
        UsageError: a column that is not there, or an id that is empty or stands there twice.
    """
    header, body = read_lines(path)
    key = id_of(path, header, body, id_column, known)
    for name in columns:
        if name not in header:
            raise UsageError(f"{path}: no column {name!r}; it has {few(header)}")
    wanted = [header.index(c) for c in columns]
    rows = by_id(path, body, header.index(key))
    own = counterparts(rows, known) if tell else {}
    if tell and own:
        tell(describe_counterparts(path, own))
    return {
        own.get(name, name): TableRow(row.line, tuple(row.cells[c] for c in wanted))
        for name, row in rows.items()
    }


def id_of(
    path: TableSource,
    header: Sequence[str],
    body: Sequence[TableRow],
    said: str | None = None,
    known: Collection[str] = (),
) -> str:
    """Return the id column of a table that was read; a table of Python has it first.

    Raises:
        UsageError: see `columns.id_column`.
    """
    if isinstance(path, TextTable) and said is None:
        return header[0]
    return roles.id_column(path, header, [row.cells for row in body], said=said, known=known)


def by_id(path: TableSource, rows: Sequence[TableRow], column: int) -> dict[str, TableRow]:
    """Return the rows of a table by their id, which stands in a column, by its number.

    Raises:
        UsageError: an id that is empty or stands there twice; names its line in `path`.
    """
    found: dict[str, TableRow] = {}
    for row in rows:
        name = row.cells[column]
        if not name:
            raise UsageError(f"{path}, line {row.line}: the id is empty")
        if name in found:
            first = found[name].line
            raise UsageError(
                f"{path}, line {row.line}: id {name!r} stands in line {first} too: each id has one "
                f"row; if another column is the id, say which by --id-col"
            )
        found[name] = row
    return found


def ids_of(path: TableSource, id_column: str | None = None) -> tuple[str, ...]:
    """Return the ids of a CSV in the order of its rows; for the id see `columns.id_column`.

    Raises:
        UsageError: an id is empty or stands there twice.
    """
    return tuple(rows_of(path, (), id_column))


class _Lines(list[str]):
    """What a csv.writer writes to: a line for each row."""

    def write(self, line: str) -> None:
        """Keep a line."""
        self.append(line)


def formula_like(ids: Sequence[str]) -> list[str]:
    """Return the ids that a spreadsheet would run as a formula."""
    return [i for i in ids if i.startswith(_FORMULA)]


def as_folds(values: Sequence[object]) -> Indices:
    """Read folds, int64 (N,).

    Raises:
        ValueError: one is no whole number.
    """
    odd = [v for v in values if not _WHOLE.fullmatch(str(v))]
    if odd:
        raise ValueError(f"a fold is a whole number; found {few([repr(v)[:40] for v in odd])}")
    return np.array([int(str(v)) for v in values], np.int64)


def _check_header(path: TableSource, header: Sequence[str]) -> None:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise UsageError(f"{path}, line 1: columns are separated by commas; found {header[0]!r}")
    twice = sorted({c for c in header if header.count(c) > 1})
    if twice:
        raise UsageError(f"{path}, line 1: column {twice[0]!r} stands there twice")
