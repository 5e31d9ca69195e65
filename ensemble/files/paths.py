"""Names: natural order, lists of files, and what may be a name at all."""

import fnmatch
import glob
import heapq
import operator
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError

_DIGITS: Final = re.compile("([0-9]+)")
_SAME_DIGIT: Final = str.maketrans("123456789", "000000000")
_SCHEME: Final = re.compile(r"[a-z0-9+.-]{2,}:/")
_MAGIC: Final = re.compile(r"[*?\[]")
_NO_NAME: Final = re.compile(r'[/\\:*?"<>|]')
_LONGEST: Final = 200

CHECKPOINTS: Final = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
"""What checkpoint files end with."""

SUFFIXES: Final = (*CHECKPOINTS, ".onnx")


def natural_key(text: str) -> tuple[str, str]:
    """Return a sort key that puts 2 before 10; ties are in plain order.

    A number has its length before it: texts sort seven times as fast as lists of their runs.
    """
    return _DIGITS.sub(_counted, text), text


def _counted(number: re.Match[str]) -> str:
    """Return a number as what sorts by its length first, and below any letter."""
    digits = number[0].lstrip("0")
    return f"\0{chr(len(digits))}{digits}"


def natural_order(*parts: Iterable[str]) -> list[str]:
    """Return the texts of several parts in natural order; keys are kept only of a part without."""
    held = list(map(_ordered, map(list, parts)))
    full = [part for part in held if part]
    return list(heapq.merge(*full, key=natural_key)) if len(full) > 1 else [*chain(*full)]


def _ordered(texts: list[str]) -> list[str]:
    alike = len({text.translate(_SAME_DIGIT) for text in texts}) == 1
    follows = operator.le if alike else _follows  # they differ in digits alone
    in_order = all(map(follows, texts, islice(texts, 1, None)))
    return texts if in_order else sorted(texts, key=natural_key)


def _follows(first: str, second: str) -> bool:
    """Tell whether a text stands after another, or is the same, in natural order."""
    if first.translate(_SAME_DIGIT) == second.translate(_SAME_DIGIT):
        return first <= second  # they differ in digits alone, of numbers of the same lengths
    return natural_key(first) <= natural_key(second)


def is_url(path: Path) -> bool:
    """Tell whether a path was a URL; `Path` makes one slash of two, so `https:/` counts."""
    return "://" in str(path) or bool(_SCHEME.match(str(path)))


def is_remote(text: str) -> bool:
    """Tell whether a text is the address of an object store that is read."""
    return text.startswith(("s3://", "gs://"))


def check_utf8(name: str, what: str) -> None:
    """Check that a name can be written down; `what` says in a message what it is of.

    Python holds the bytes of a name that is not UTF-8 as surrogates, which JSON, CSV, Arrow and
    ONNX Runtime refuse.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} {name!r} is not UTF-8, so nothing that is written could name it; rename it"
        ) from error


def is_file_name(text: str) -> bool:
    """Tell whether a text names a file within a folder, on any system.

    Then it has no separator, no sign that a system keeps for itself and no leading dot, and leaves
    room for an ending within 255 bytes.
    """
    odd = text.startswith(".") or not text.isprintable() or _NO_NAME.search(text)
    return not odd and 0 < len(text.encode()) <= _LONGEST


def matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Tell whether the parts of a path fit those of a pattern; `**` stands for any folders."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(matches(parts[i:], wanted[1:]) for i in range(len(parts) + 1))
    first = bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0])
    return first and matches(parts[1:], wanted[1:])


def expand(inputs: Sequence[str | Path], suffix: str, what: str) -> list[Path]:
    """Return the files that are meant, in natural order.

    Args:
        inputs: Files, folders, glob patterns, and `@list.txt` with one of these a line.
        suffix: What the files of a folder end with, such as ".onnx".
        what: What they are called in messages.

    Raises:
        UsageError: nothing was given, an input matches nothing, a file is given twice, or lies
            where a name is not UTF-8.
    """
    found: dict[Path, Path] = {}
    for path in _expanded(inputs, suffix, what):
        real = path.resolve()
        check_utf8(str(real), what)
        if real in found:
            raise UsageError(f"{what} {path} is given twice (also as {found[real]})")
        found[real] = path
    if not found:
        raise UsageError(f"no {what} given; name files, a folder, a quoted glob or @list.txt")
    return sorted(found.values(), key=lambda p: natural_key(str(p)))


def is_file(text: str) -> bool:
    """Whether a text names a file; one that is too long for a name names none."""
    return os.path.isfile(text)  # noqa: PTH113 - Path.is_file raises where a name is too long


def split_named(text: str) -> tuple[str, str]:
    """Split `NAME=rest` at the first `=`; the name is empty where the text has none, or is a file.

    So `lr=0.1/oof.parquet` is a file where there is such a file, and `ant=lr=0.1/oof.parquet` is
    that file under the name `ant`.
    """
    name, marked, rest = text.partition("=")
    return (name, rest) if marked and not is_file(text) else ("", text)


def without_lists(inputs: Sequence[str | Path], what: str) -> list[str]:
    """Return inputs as texts, with the lines of each `@list.txt` in its place.

    Raises:
        UsageError: a list cannot be read, or names another.
    """
    found = list[str]()
    for text in map(str, inputs):
        lines = _lines(Path(text[1:]), what) if text.startswith("@") else [text]
        if text.startswith("@") and (nested := [line for line in lines if line.startswith("@")]):
            raise UsageError(f"{what} {text}: {nested[0]} is a list within a list")
        found += lines
    return found


def _expanded(inputs: Sequence[str | Path], suffix: str, what: str) -> Iterator[Path]:
    for text in without_lists(inputs, what):
        if "://" in text:
            raise UsageError(f"{what} {text}: a URL; only files are taken, so download it first")
        try:
            matches = _matches(text, suffix)
        except OSError as error:
            raise UsageError(f"{what} {text}: cannot look there: {error.strerror}") from error
        if not matches:
            raise UsageError(f"{what} {text}: nothing there matches (looked for *{suffix})")
        yield from matches


def _matches(text: str, suffix: str) -> list[Path]:
    """Find the files of a folder or a pattern. What cannot be listed raises an OSError."""
    path = Path(text)
    if path.is_dir():
        return sorted(found for found in path.iterdir() if found.name.endswith(suffix))
    if _MAGIC.search(text) and not path.exists():
        # pathlib does not glob absolute patterns
        return [Path(p) for p in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207
    return [path]


def _lines(path: Path, what: str) -> list[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{what} @{path}: cannot read the list: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
