"""What Python is given, as the library takes it: paths, tables, frames and weights by name."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from ensemble.errors import UsageError, few
from ensemble.predictions.table import Oof, checked, join
from ensemble.records import Task
from ensemble.voting import weights
from ensemble.voting.weights import Weights

if TYPE_CHECKING:
    import pandas as pd

Given = Weights | Mapping[str, float] | str | Path | None

Paths = str | Path | Iterable[str | Path]

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


class ById(Protocol[Value_co]):
    """Values by id: a mapping, or a pandas Series with the ids in its index."""

    def items(self) -> Iterable[tuple[Hashable, Value_co]]:
        """Return the pairs of an id and its value; two of one id are refused."""


def either(value: Value | None, default: Value) -> Value:
    """Return what was given, be it empty, or the default where nothing was."""
    return default if value is None else value


def texts_of(paths: Paths) -> tuple[str, ...]:
    return (str(paths),) if isinstance(paths, str | Path) else tuple(str(p) for p in paths)


def path_of(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def weights_of(given: Given) -> Weights | None:
    if given is None or given == "uniform":
        return None
    if isinstance(given, Weights):
        return given
    return Weights(dict(given)) if isinstance(given, Mapping) else weights.from_text(str(given))


def rows_of(
    labels: "ById[object] | pd.DataFrame", classes: tuple[str, ...]
) -> dict[str, tuple[object, ...]]:
    """Return labels by id, the columns of a frame in the order of the classes."""
    import pandas as pd

    if not isinstance(labels, pd.DataFrame):
        return {name: (label,) for name, label in by_id(labels, "labels").items()}
    frame = labels.rename(columns=str)
    if sorted(frame.columns) != sorted(classes):
        raise UsageError(
            f"labels have the columns {few(list(frame.columns))}; the classes are {few(classes)}"
        )
    rows = frame[list(classes)].itertuples(index=False, name=None)
    return _without_twins(zip(map(str, frame.index), rows, strict=True), "labels")


def oof_of(given: "Oof | Mapping[str, pd.DataFrame]", task: Task = "classification") -> Oof:
    """Return predictions as they are, or join frames, having checked each."""
    if isinstance(given, Oof):
        return given
    frames, parts = given, []
    for name, frame in frames.items():
        ids, classes = map(str, frame.index), map(str, frame.columns)
        probs = frame.to_numpy(np.float64)
        parts.append(
            checked(f"family {name!r}", Oof(tuple(ids), tuple(classes), {name: probs}, task=task))
        )
    return join(parts)


def by_id(given: ById[Value], what: str) -> dict[str, Value]:
    return _without_twins(((str(name), value) for name, value in given.items()), what)


def _without_twins(pairs: Iterable[tuple[str, Value]], what: str) -> dict[str, Value]:
    """Return values by id, and refuse an id that stands there twice."""
    found: dict[str, Value] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"{what}: id {name!r} stands there twice")
        found[name] = value
    return found
