"""What files of predictions from elsewhere do not say themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.files.text_table import TableSource
from ensemble.records import Task, check_choice


@dataclass(frozen=True, slots=True)
class ForeignHints:
    """What files from elsewhere do not say themselves.

    `rows_of` is the CSV whose rows a .npy (N, C) follows, with an id column. `classes` name the
    columns of a .npy, or of an npz that holds none; the columns of a table that are predictions; or
    the two classes of one column of probabilities, the positive one last. `task` is what the
    predictions are; None takes what an OOF Parquet or a run says, and else classification.
    `id_column` is the column of the ids, where it is not called `id`.
    """

    rows_of: TableSource | None = None
    classes: Sequence[str] = ()
    task: Task | None = None
    id_column: str | None = None

    @property
    def expected(self) -> Task:
        """The task of what does not say it."""
        return self.task or "classification"


NO_HINTS: Final = ForeignHints()


def hints_for(
    paths: Sequence[Path],
    rows_of: TableSource | None,
    classes: Sequence[str],
    task: Task | None,
    id_column: str | None = None,
) -> ForeignHints:
    """Return hints for these files.

    Raises:
        UsageError: rows for a .npy, and there is none; or a task that there is not.
    """
    if task is not None:
        check_choice("task", task, Task)
    if rows_of is not None and not any(path.suffix == ".npy" for path in paths):
        raise UsageError("--rows-of goes with a .npy; the other files hold their ids")
    return ForeignHints(rows_of, tuple(classes), task, id_column)
