"""Finding images: in folders, by globs or in a CSV, each with an id of its own."""

import fnmatch
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.files.columns import check_no_index, id_column
from ensemble.files.csv_tables import is_csv, read_table
from ensemble.files.paths import check_utf8, natural_key
from ensemble.records import EXTENSIONS, IdFrom


@dataclass(frozen=True, slots=True)
class Source:
    """One image to predict: its id, byte-exact, and its file."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Scan:
    """The images that were found, in natural order of their ids, and what was skipped, and why."""

    images: tuple[Source, ...]
    skipped: Mapping[str, int]


def scan(inputs: Sequence[str | Path], id_from: IdFrom = "stem", id_col: str | None = None) -> Scan:
    """Find the images of folders (with their subfolders), files, glob patterns and CSV lists.

    A CSV file has a column `path`, relative to its folder, or an id column, or both; without a
    path, the id names a file beside the CSV, with or without its extension. The id column is
    `id_col`, `id`, or the one whose every cell names a file. Links are followed where they are
    named themselves, and in a folder where they lead to a file inside it. Arrays (.npy) are taken
    where they or a pattern of theirs are named: a folder of images may hold others.

    Raises:
        UsageError: an input without images, an id twice, or a name that is not UTF-8.
    """
    skipped: Counter[str] = Counter()
    images: list[Source] = []
    for given in inputs:
        try:
            found = list(_sources(str(given), id_from, skipped, id_col))
        except OSError as error:
            why = f"cannot look for images in {str(given)!r}: {error.strerror}"
            raise UsageError(why) from error
        if not found:
            reasons = ", ".join(f"{n} skipped: {reason}" for reason, n in skipped.items())
            raise UsageError(f"no images in {str(given)!r}{f' ({reasons})' if reasons else ''}")
        images += found
    if not images:
        raise UsageError("no images: name a folder, files, a glob pattern, or a CSV file")
    _check_ids(images)
    return Scan(tuple(sorted(images, key=lambda source: natural_key(source.id))), dict(skipped))


def _sources(
    given: str, id_from: IdFrom, skipped: Counter[str], id_col: str | None
) -> Iterator[Source]:
    path = Path(given)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", given):
        raise UsageError(f"{given!r} is a URL; images are read from paths only: download it first")
    if path.is_file() and is_csv(path) and path.suffix.lower() != ".zip":
        yield from _listed(path, id_from, id_col)
        return
    files, base = _files(path)
    for file, reason in files:
        if reason:
            skipped[reason] += 1
        else:
            yield Source(_id(file.relative_to(base) if id_from == "path" else file, id_from), file)


def _files(path: Path) -> tuple[Iterator[tuple[Path, str]], Path]:
    """Return what a folder, a file or a pattern names, and the folder from which ids are told."""
    if path.is_dir():
        return _walk(path), path
    if path.is_file():
        return iter([(path, _unless_array(_unwanted(path.name)))]), path.parent
    if any(c in str(path) for c in "*?["):
        return _glob(path)
    raise UsageError(f"no such file or folder: {str(path)!r}")


def _walk(
    folder: Path, depth: int | None = None, root: Path | None = None
) -> Iterator[tuple[Path, str]]:
    """Yield each file below a folder with the reason to skip it, or ""."""
    root = folder.resolve() if root is None else root
    try:
        with os.scandir(folder) as stream:
            entries = sorted(stream, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"cannot list the folder {str(folder)!r}: {error.strerror}") from error
    for entry in entries:
        reason = _reason(entry, root)
        if reason is not None:
            yield Path(entry.path), reason
        elif depth is None or depth > 1:
            yield from _walk(Path(entry.path), None if depth is None else depth - 1, root)


def _reason(entry: os.DirEntry[str], root: Path) -> str | None:
    """Return why an entry is skipped, "" for an image, None for a folder to look into."""
    reason = _unwanted(entry.name)
    if entry.is_symlink():
        folder = "symbolic link to a folder (name it itself)" if entry.is_dir() else ""
        return folder or reason or _linked(Path(entry.path), root)
    if entry.is_file():
        return reason
    if not entry.is_dir():
        return reason or "not a regular file"
    return None if reason == "other extension" else reason or "folder named like an image"


def _linked(path: Path, root: Path) -> str:
    """Return why a link with the name of an image is skipped, or "".

    Links to files inside the tree are followed, such as those of a hub's snapshots. Others are not:
    a copy of the tree would have other images.
    """
    target = path.resolve()
    if not target.exists():
        return "symbolic link to nothing"
    if not target.is_relative_to(root):
        return _OUTSIDE
    if not target.is_file():
        return "not a regular file"
    twin = target.name == path.name and not _unwanted(target.name)
    return "symbolic link to an image that is there under the same name" if twin else ""


_OUTSIDE: Final = (
    "symbolic link out of the folder (name such files one by one, or in a CSV with a column "
    "`path`, or copy them)"
)
_ARRAY: Final = "array (name it, or by a pattern such as *.npy)"


def _unless_array(reason: str) -> str:
    return "" if reason == _ARRAY else reason


def _unwanted(name: str) -> str:
    if name.lower() in ("thumbs.db", "desktop.ini", ".ds_store", "__macosx"):
        return "system file"
    if name.startswith("."):
        return "hidden"
    extension = name.rpartition(".")[2].lower() if "." in name else ""  # a Path is slow
    if extension == "npy":
        return _ARRAY
    return "" if any(extension in known for known in EXTENSIONS.values()) else "other extension"


def _glob(pattern: Path) -> tuple[Iterator[tuple[Path, str]], Path]:
    """Expand a pattern; unlike the standard glob, `**` follows no links, so loops are harmless."""
    fixed = next(i for i, part in enumerate(pattern.parts) if any(c in part for c in "*?["))
    base, wanted = Path(*pattern.parts[:fixed]), pattern.parts[fixed:]
    if not base.is_dir():
        raise UsageError(f"no such folder: {str(base)!r}, of the pattern {str(pattern)!r}")
    found = _walk(base, None if "**" in wanted else len(wanted))
    found = (f for f in found if _matches(f[0].relative_to(base).parts, wanted))
    if wanted[-1].lower().endswith(".npy"):
        found = ((file, _unless_array(reason)) for file, reason in found)
    return found, base


def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[i:], wanted[1:]) for i in range(len(parts) + 1))
    first = bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0])
    return first and _matches(parts[1:], wanted[1:])


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
            name = _id(Path(row["path"]), id_from) if key is None else row[key]
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
    for file, reason in _walk(folder, depth=1):
        if not reason:
            names.setdefault(file.name, []).append(file)
            names.setdefault(file.stem, []).append(file)
    return names


def _id(path: Path, id_from: IdFrom) -> str:
    return {"stem": path.stem, "name": path.name, "path": path.as_posix()}[id_from]


def _check_ids(images: Sequence[Source]) -> None:
    seen: dict[str, Source] = {}
    twins = []
    for image in images:
        for text in (image.id, str(image.path)):
            check_utf8(text, "the name")
        other = seen.setdefault(unicodedata.normalize("NFC", image.id), image)
        if other.id != image.id:
            raise UsageError(
                f"{str(other.path)!r} and {str(image.path)!r} have ids that differ only in their "
                f"Unicode form ({other.id!a}, {image.id!a}); rename one"
            )
        if other is not image:
            twins.append(f"  {image.id!r}: {other.path} and {image.path}")
    if twins:
        more = f"\n  and {len(twins) - 10} more" if len(twins) > 10 else ""
        raise UsageError(
            f"{len(twins)} ids are given twice; tell them apart with --id-from path (or name), and "
            f"name the folder above them where several were named:\n"
            + "\n".join(twins[:10]) + more
        )  # fmt: skip
