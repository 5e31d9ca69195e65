"""Predictions that Python is given: an Oof, files, frames by family; checked, and joined by id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ensemble.api.arguments import ClassesGiven, classes_in, unlike
from ensemble.api.tables import TableGiven, frame_by_id, optional_table
from ensemble.errors import UsageError, few
from ensemble.files.paths import split_named
from ensemble.label_map import LabelMap
from ensemble.predictions.formats import in_memory, read, read_parts
from ensemble.predictions.hints import ForeignHints, hints_for
from ensemble.predictions.join import join
from ensemble.predictions.table import Oof
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.records import Task

PredictionsGiven: TypeAlias = Oof | str | Path | Sequence[str | Path] | Mapping[str, TableGiven]
"""An Oof; files, each as `[NAME=]FILE`; or by family a file or a frame, a column a class."""


def tasks_of(
    given: PredictionsGiven | TaskPredictions, what: str, hints: ForeignHints, label_map: LabelMap
) -> TaskPredictions:
    """Return predictions of several tasks, joined through a label map; see `predictions_of`.

    Raises:
        UsageError: another type, or predictions that are none or do not go together.
        ContractError: files that predict other rows.
    """
    if isinstance(given, TaskPredictions):
        return join_tasks(given.parts, label_map)
    if isinstance(given, Oof):
        return join_tasks([given], label_map)
    parts = [part for name, path in _files_of(given) for part in read_parts(path, name, hints)]
    parts += [_of_family(name, frame, hints) for name, frame in _frames_of(given)]
    if not parts:
        expected = "what predict_oof gave, paths, or a mapping of families to paths or DataFrames"
        raise unlike(what, expected, given)
    return join_tasks(parts, label_map)


def hints_of(
    given: object,
    rows_of: object,
    classes: ClassesGiven | None,
    task: Task | None,
    id_col: str | None = None,
) -> ForeignHints:
    """Return what files from elsewhere do not say, as the flags of these names do."""
    names = classes_in(classes or ())
    paths = [path for _, path in _files_of(given)]
    rows = optional_table(rows_of, "rows_of", id_col=id_col)
    return hints_for(paths, rows, names, task, id_col)


def predictions_of(given: object, what: str, hints: ForeignHints) -> Oof:
    """Return predictions as they are; or read files and frames, check each, and join them.

    Raises:
        UsageError: another type, or predictions that are none or do not go together.
    """
    if isinstance(given, Oof):
        if hints.task not in (None, given.task):
            raise UsageError(f"{what}: the predictions are {given.task}, not {hints.task}")
        return given
    parts = [read(path, name, hints) for name, path in _files_of(given)]
    parts += [_of_family(name, frame, hints) for name, frame in _frames_of(given)]
    if not parts:
        expected = "an Oof, paths, or a mapping of families to paths or DataFrames"
        raise unlike(what, expected, given)
    return join(parts)


def _files_of(given: object) -> list[tuple[str | None, Path]]:
    """Return the files among predictions, each with the name of its family or None."""
    if isinstance(given, Path):
        return [(None, given)]
    if isinstance(given, str):
        name, path = split_named(given)
        return [(name or None, Path(path))]
    if isinstance(given, Mapping):
        return [(str(n), Path(p)) for n, p in given.items() if isinstance(p, str | Path)]
    if isinstance(given, list | tuple):
        return [found for each in given for found in _files_of(each)]
    return []


def _frames_of(given: object) -> list[tuple[str, object]]:
    """Return what is no file among predictions by family: frames, if anything."""
    named = given.items() if isinstance(given, Mapping) else ()
    return [(str(n), frame) for n, frame in named if not isinstance(frame, str | Path)]


def _of_family(name: str, given: object, hints: ForeignHints) -> Oof:
    where = f"family {name!r}"
    frame = frame_by_id(given, where, hints.id_column)
    twice = [name for name, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise UsageError(f"{where}: classes stand there twice: {few(twice)}")
    columns = {str(c): frame.iloc[:, p].tolist() for p, c in enumerate(frame.columns)}
    return in_memory(where, name, [str(i) for i in frame.index], columns, hints)
