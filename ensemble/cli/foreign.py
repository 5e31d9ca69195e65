"""Flags that say what files from elsewhere do not: their rows, classes and task."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ensemble.cli.options import stacked
from ensemble.files.classes import classes_of
from ensemble.records import VOTED

if TYPE_CHECKING:
    from ensemble.predictions.hints import ForeignHints

elsewhere_options: Final = stacked((
    click.option("--rows-of", type=click.Path(path_type=Path),
                 help="For a .npy, which holds no ids: the CSV whose rows it follows."),
    click.option("--classes", help="For files that name no classes: a,b,c or a file with a class "
                 "a line, in the order of the columns."),
    click.option("--task", type=click.Choice(VOTED),
                 help="What files from elsewhere predict.  [default: what an OOF Parquet says, "
                 "else classification]"),
))  # fmt: skip


def foreign_hints_of(
    flags: dict[str, Any], files: Sequence[tuple[str | None, Path]], id_column: str | None = None
) -> "ForeignHints":
    """Take the flags of `elsewhere_options` out: what files from elsewhere do not say.

    Raises:
        UsageError: --rows-of without a .npy.
    """
    from ensemble.predictions.hints import hints_for

    rows_of, task, told = (flags.pop(name) for name in ("rows_of", "task", "classes"))
    classes = classes_of(told) if told else ()
    return hints_for([path for _, path in files], rows_of, classes, task, id_column)
