"""Names of classes, as they are given: with commas, or in a file with a class a line."""

from collections.abc import Sequence
from pathlib import Path

from ensemble.errors import UsageError
from ensemble.files.paths import is_file


def classes_of(text: str) -> tuple[str, ...]:
    """Read --classes: names with commas, or the file with a class a line that the text names.

    Raises:
        UsageError: there is no such file, or it holds more than a class a line.
    """
    if is_file(text):
        return _read(Path(text))
    if Path(text).suffix in (".txt", ".csv", ".json") or "/" in text:
        raise UsageError(f"--classes {text}: no such file")
    return tuple(part.strip() for part in text.split(","))


def _read(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--classes {path}: cannot read the classes: {error}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if path.suffix == ".json" or _is_table(names):
        raise UsageError(
            f"--classes {path}: expected a class a line, in the order of the net's outputs, and "
            f"nothing else; found {names[0]!r}"
        )
    return names


def _is_table(names: Sequence[str]) -> bool:
    """Tell whether lines are those of a CSV: all have commas, and some begin with a number."""
    numbered = any(name.partition(",")[0].strip().isdecimal() for name in names)
    return numbered and all("," in name for name in names)
