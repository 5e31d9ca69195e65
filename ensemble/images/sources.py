"""Finding images: in folders, archives, tables and object stores, each with an id of its own."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble.errors import UsageError
from ensemble.files.columns import check_no_index, id_column
from ensemble.files.csv_tables import is_csv, read_table
from ensemble.files.paths import is_remote, natural_key
from ensemble.files.remote import RemoteFile, pinned
from ensemble.images.archives import is_archive, listed
from ensemble.images.folders import found_below, walk
from ensemble.images.location import Container, Found, Location, local_file
from ensemble.images.names import (
    ARCHIVES,
    check_ids,
    id_of,
)
from ensemble.images.parquet_images import parquet_rows
from ensemble.images.remote import found_remotely
from ensemble.images.tar_images import CUT
from ensemble.records import IdFrom


@dataclass(frozen=True, slots=True)
class Source:
    """One image to predict: its id, byte-exact, and where it is."""

    id: str
    path: Location


@dataclass(frozen=True, slots=True)
class Scan:
    """The images that were found, in natural order of their ids, and what was skipped, and why."""

    images: tuple[Source, ...]
    skipped: Mapping[str, int]


def is_cut_short(reason: str) -> bool:
    """Whether a file was skipped since it is the rest of an archive that is cut short."""
    return reason.startswith(CUT)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How ids are told, and which column of a Parquet file the images are."""

    id_from: IdFrom
    id_col: str | None
    image_col: str | None


def scan(
    inputs: Sequence[str | Path],
    id_from: IdFrom = "stem",
    id_col: str | None = None,
    image_col: str | None = None,
) -> Scan:
    """Find the images of folders, with their subfolders, of files, archives, patterns and tables.

    A CSV file has a column `path`, relative to its folder, or an id column, or both; without a
    path, the id names a file beside the CSV, with or without its extension. The id column is
    `id_col`, `id`, or the one whose every cell names a file. Links are followed where they are
    named themselves, and in a folder where they lead to a file inside it. Arrays (.npy) and
    archives (.tar, .zip, .parquet) are taken where they or a pattern of theirs are named: a folder
    of images may hold others. The images of a Parquet file are in `image_col`, or in its one column
    of bytes.

    Raises:
        UsageError: an input without images, an archive that is damaged, an id twice, or a name that
            is not UTF-8.
    """
    skipped: Counter[str] = Counter()
    images: list[Source] = []
    asked = _Asked(id_from, id_col, image_col)
    for given in inputs:
        try:
            found = list(_sources(str(given), asked, skipped))
        except OSError as error:
            why = f"cannot look for images in {str(given)!r}: {error.strerror}"
            raise UsageError(why) from error
        if not found:
            reasons = ", ".join(f"{n} skipped: {reason}" for reason, n in skipped.items())
            raise UsageError(f"no images in {str(given)!r}{f' ({reasons})' if reasons else ''}")
        images += found
    if not images:
        raise UsageError("no images: name a folder, files, a glob pattern, an archive or a table")
    check_ids(images)
    return Scan(tuple(sorted(images, key=lambda source: natural_key(source.id))), dict(skipped))


def _sources(given: str, asked: _Asked, skipped: Counter[str]) -> Iterator[Source]:
    if is_remote(given):
        yield from _of(found_remotely(given), asked, skipped)
        return
    path = Path(given)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", given):
        raise UsageError(
            f"{given!r} is a URL; images are read from paths, s3:// and gs:// only: download it "
            f"first"
        )
    if path.is_file() and is_csv(path) and path.suffix.lower() != ".zip":
        yield from _listed(path, asked.id_from, asked.id_col)
        return
    yield from _of(found_below(path, relative=asked.id_from == "path"), asked, skipped)


def _of(files: Iterable[Found], asked: _Asked, skipped: Counter[str]) -> Iterator[Source]:
    """Yield the images among files, and those that files of them hold."""
    for found in files:
        if found.reason:
            skipped[found.reason] += 1
        elif _holds(found.name.name):
            yield from _held(_container(found.location), asked, skipped)
        else:
            yield Source(id_of(found.name, asked.id_from), found.location)


def _container(location: Location) -> Container:
    """Return a file that holds images as it is now."""
    return pinned(location) if isinstance(location, RemoteFile) else local_file(Path(str(location)))


def _holds(name: str) -> bool:
    """Whether a file holds images, by its name."""
    return name.lower().endswith(ARCHIVES) or is_archive(name)


def _held(container: Container, asked: _Asked, skipped: Counter[str]) -> Iterator[Source]:
    """Yield the images that a file holds."""
    if not is_archive(str(container)):
        rows = parquet_rows(container, asked.image_col, asked.id_col, asked.id_from)
        yield from (Source(name, row) for name, row in rows)
        return
    yield from _of(listed(container), asked, skipped)


def _listed(table: Path, id_from: IdFrom, id_col: str | None) -> Iterator[Source]:
    header, body = read_table(table)
    if not body:
        raise UsageError(f"{str(table)!r}: expected a row an image")
    rows = [dict(zip(header, values, strict=True)) for values in body]
    beside = {} if "path" in header else _by_name(table.parent)
    key = _id_column(table, header, rows, beside, id_col)
    columns = [name for name in (key, "path") if name is not None and name in header]
    for number, row in enumerate(rows, 1):
        _check_cells(row, columns, f"{str(table)!r}, row {number}")
        if "path" in columns:
            name = id_of(Path(row["path"]), id_from) if key is None else row[key]
            yield Source(name, table.parent / row["path"])
        else:
            yield _beside(beside, row[str(key)], f"{str(table)!r}, row {number}")


def _check_cells(row: Mapping[str, str], columns: Sequence[str], where: str) -> None:
    for column in columns:
        if not row[column] or "\0" in row[column] or "://" in row[column]:
            raise UsageError(f"{where}, {column}: found {row[column]!r}")


def _beside(names: Mapping[str, Sequence[Path]], name: str, where: str) -> Source:
    files = names.get(name, [])
    if len(files) != 1:
        raise UsageError(
            f"{where}: {len(files)} images beside the file are named {name!r}; expected one. Or "
            f"add a column `path`, relative to the CSV"
        )
    return Source(name, files[0])


def _id_column(
    table: Path,
    header: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    beside: Mapping[str, Sequence[Path]],
    id_col: str | None,
) -> str | None:
    """Return the id column of a CSV of images; None where the path gives the id."""
    if id_col is None and "path" in header:
        check_no_index(table, header)
        return "id" if "id" in header else None
    naming = [c for c in header if all(row[c] in beside for row in rows)]
    if id_col is None and "id" not in header and len(naming) == 1:
        check_no_index(table, header)
        return naming[0]
    return id_column(table, header, said=id_col)


def _by_name(folder: Path) -> dict[str, list[Path]]:
    names: dict[str, list[Path]] = {}
    for file, reason in walk(folder, depth=1):
        if not reason:
            names.setdefault(file.name, []).append(file)
            names.setdefault(file.stem, []).append(file)
    return names
