"""Flags that say what files from elsewhere do not: their rows, classes and task."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from ensemble.cli.options import stacked
from ensemble.errors import UsageError
from ensemble.files.paths import is_file
from ensemble.records import Task

if TYPE_CHECKING:
    from ensemble.predictions.formats import ForeignHints

elsewhere_options: Final = stacked((
    click.option("--rows-of", type=click.Path(path_type=Path),
                 help="For a .npy, which holds no ids: the CSV whose rows it follows."),
    click.option("--classes", help="For files that name no classes: a,b,c or a file with a class "
                 "a line, in the order of the columns."),
    click.option("--task", type=click.Choice(get_args(Task)),
                 help="What files from elsewhere predict.  [default: what an OOF Parquet says, "
                 "else classification]"),
))  # fmt: skip


def classes_of(text: str) -> tuple[str, ...]:
    """Read --classes: names with commas, or the file with a class a line that the text names.

    Raises:
        UsageError: there is no such file, or it holds more than a class a line.
    """
    if is_file(text):
        return _classes_in(Path(text))
    if Path(text).suffix in (".txt", ".csv", ".json") or "/" in text:
        raise UsageError(f"--classes {text}: no such file")
    return tuple(part.strip() for part in text.split(","))


def _classes_in(path: Path) -> tuple[str, ...]:
    """Read a file with a class a line; a table of numbers and classes is none."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--classes {path}: cannot read the classes: {error}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    numbered = any(name.partition(",")[0].strip().isdecimal() for name in names)
    if path.suffix == ".json" or (numbered and all("," in name for name in names)):
        raise UsageError(
            f"--classes {path}: expected a class a line, in the order of the net's outputs, and "
            f"nothing else; found {names[0]!r}"
        )
    return names


def foreign_hints_of(
    flags: dict[str, Any], files: Sequence[tuple[str | None, Path]]
) -> "ForeignHints":
    """Take the flags of `elsewhere_options` out: what files from elsewhere do not say.

    Raises:
        UsageError: --rows-of without a .npy.
    """
    from ensemble.predictions.formats import ForeignHints

    rows_of, task, classes = (flags.pop(name) for name in ("rows_of", "task", "classes"))
    if rows_of and not any(path.suffix == ".npy" for _, path in files):
        raise UsageError("--rows-of goes with a .npy; the other files hold their ids")
    return ForeignHints(rows_of, classes_of(classes) if classes else (), task)
